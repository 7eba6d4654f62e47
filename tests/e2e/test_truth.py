"""What status says when little is known: silence is never health, a restart invents nothing."""

import os
import re
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from e2e import SiteCase  # noqa: E402

from demo import Demo  # noqa: E402
from programs import wait_for  # noqa: E402


class Silence(SiteCase):
    def status(self, demo):
        return demo.faultline.cli("status")[1]

    def restart_collector(self, demo):
        demo.faultline.collector.stop()
        demo.faultline.start_collector()

    def test_silent_agents_are_no_health_and_a_restart_does_not_resolve_them(self):
        with Demo() as demo:
            demo.wait_proven()
            first = self.status(demo).splitlines()[0]
            self.assertRegex(first, r"users served")
            for agent in demo.faultline.agents.values():
                agent.stop()

            def silent():
                incidents = [i for i in demo.incidents() if i["state"] == "open" and i["mode"] == "silent"]
                return incidents or None
            opened = wait_for("silence", silent, 30, 0.25)
            self.assertTrue(all(i["severity"] != "page" for i in opened), opened)
            text = wait_for("status that claims nothing", lambda: next(
                (t for t in [self.status(demo)] if "users served" not in t.splitlines()[0]), None), 20, 0.5)
            self.assertNotRegex(text, r"(users|hop|backend)\s.*\b3/3 ok")

            self.restart_collector(demo)
            wait_for("status after the restart", lambda: demo.faultline.cli("status")[0] == 0, 10)
            states = {i["id"]: i["state"] for i in demo.incidents()}
            self.assertTrue(any(state == "open" for state in states.values()), f"a restart resolved: {states}")
            text = self.status(demo)
            self.assertNotIn("users served", text.splitlines()[0])

            for host in demo.observers:
                demo.faultline.start_agent(host)
            wait_for("end of the silence", lambda: all(i["state"] == "resolved" for i in demo.incidents()), 60, 0.5)
            wait_for("users served again", lambda: re.search("users served", self.status(demo).splitlines()[0]), 60,
                     0.5)
            self.assertEqual([], [i["headline"] for i in demo.incidents() if i["mode"] != "silent"])


class Drain(SiteCase):
    def test_a_server_that_haproxy_has_in_maintenance_is_no_fault(self):
        with Demo() as demo:
            demo.wait_proven()
            wait_for("HAProxy's word", lambda: self.says(demo) == {"app1": "up", "app2": "up", "app3": "up"}, 15, 0.5)
            demo.site.command("set server apps/app1 state maint")
            wait_for("maintenance", lambda: self.says(demo).get("app1") == "maintenance", 15, 0.5)
            demo.site.kill_server(0)
            wait_for("failing probes of app1", lambda: any(
                p["target"] == "app1" and p["last"]["outcome"] == "fail" for p in self.paths(demo)), 10, 0.25)
            # As many seconds as a verdict takes, several times over.
            seen = []
            wait_for("twenty more probes", lambda: seen.append(self.paths(demo)) or len(
                {p["last"]["at"] for s in seen for p in s if p["target"] == "app1"}) > 20, 30, 0.25)
            self.assertEqual([], [i["headline"] for i in demo.incidents()])
            demo.site.restart_server(0)
            demo.site.command("set server apps/app1 state ready")

    def paths(self, demo):
        return [p for s in demo.faultline.ask("status")["services"] for p in s["paths"]]

    def says(self, demo):
        backends = demo.faultline.ask("status")["services"][0]["backends"]
        return {b["name"]: b.get("balancer_says") for b in backends}


if __name__ == "__main__":
    unittest.main()
