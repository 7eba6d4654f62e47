"""Nothing is wrong, much is going on: changing load, a rolling restart of every server. No page."""

import os
import sys
import threading
import time
import unittest
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from e2e import SiteCase, times  # noqa: E402

from demo import Demo  # noqa: E402


class Load:
    """Closed-loop users whose number changes while they run."""

    def __init__(self, url):
        self.url, self.users, self.threads, self.done, self.failed = url, 0, [], 0, 0
        self.lock = threading.Lock()

    def user(self, number):
        while number < self.users:
            try:
                urllib.request.urlopen(self.url, timeout=5).read()
                failed = 0
            except OSError:
                failed = 1
            with self.lock:
                self.done += 1
                self.failed += failed
            threading.Event().wait(0.05)  # think time of a user, not a wait for the program

    def set(self, users):
        self.users = users
        self.threads = [t for t in self.threads if t.is_alive()]
        while len(self.threads) < users:
            thread = threading.Thread(target=self.user, args=(len(self.threads),), daemon=True)
            self.threads.append(thread)
            thread.start()

    def stop(self):
        self.users = 0
        for thread in self.threads:
            thread.join(10)


class Quiet(SiteCase):
    def test_changing_load_and_a_rolling_restart_page_nobody(self):
        with Demo() as demo:
            demo.wait_proven()
            load = Load(demo.site.url)
            try:
                seconds = times(45, 600)
                begun = time.monotonic()
                restarts = [seconds * share for share in (0.4, 0.55, 0.7)]
                while (passed := time.monotonic() - begun) < seconds:
                    load.set([2, 12, 4, 20, 1][int(passed / seconds * 10) % 5])
                    if restarts and passed > restarts[0]:
                        server = 3 - len(restarts)
                        restarts.pop(0)
                        demo.site.servers[demo.site.names[server]].stop()
                        threading.Event().wait(1.5)  # how long a server needs to come back
                        demo.site.restart_server(server)
                    threading.Event().wait(0.5)
            finally:
                load.stop()
            print(f"{load.done} requests of users, {load.failed} failed")
            self.assertGreater(load.done, 100)
            pages = [i["headline"] for i in demo.incidents() if i["severity"] == "page"]
            self.assertEqual([], pages)
            # On a machine as busy as a test machine the balancer may really be slow for a while: that only warns.
            balancer = [i["headline"] for i in demo.incidents()
                        if i["component"].startswith("lb:") and i["severity"] != "warning"]
            self.assertEqual([], balancer)


if __name__ == "__main__":
    unittest.main()
