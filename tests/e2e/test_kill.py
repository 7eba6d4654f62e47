"""kill -9 of link, core, delivery and an agent at random moments, while the site breaks and heals: no acknowledged sample
lost, no webhook missed, at most one repeated, under the same id. 20 each in the normal run, 500 in the long one."""

import os
import random
import signal
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from e2e import SiteCase, times  # noqa: E402

from demo import Demo  # noqa: E402
from programs import wait_for  # noqa: E402

VICTIMS = ("link", "core", "delivery", "agent")


class Kill(SiteCase):
    def kill_once(self, demo, victim):
        """SIGKILL, and wait until it is back."""
        if victim == "agent":
            program = demo.faultline.agents["observer1"]
            program.process.kill()
            program.process.wait()
            program.start()
            return
        before = demo.faultline.processes()[victim]
        os.kill(before, signal.SIGKILL)
        wait_for(f"{victim} again", lambda: demo.faultline.processes().get(victim) not in (None, before), 10)

    def seconds_of(self, demo, host, begin, end):
        answer = demo.faultline.ask("query", "uptime_s", "--host", host, "--from", f"{begin:.3f}", "--to",
                                    f"{end:.3f}")
        points = [p for s in answer["series"] for p in s["points"]]
        return [p[0] for p in points]

    def missed_ticks(self, demo, host, begin, end):
        answer = demo.faultline.ask("query", "agent_ticks_missed_total", "--host", host, "--from", f"{begin:.3f}",
                                    "--to", f"{end:.3f}")
        values = [p[1] for s in answer["series"] for p in s["points"]]
        return int(max(values) - min(values)) if values else 0

    def test_nothing_is_lost_and_no_word_missed_when_processes_die(self):
        each = times(20, 500)
        seed = int(os.environ.get("FAULTLINE_SEED", random.SystemRandom().randrange(1 << 30)))
        print(f"seed {seed}")
        dice = random.Random(seed)
        with Demo() as demo:
            demo.wait_proven()
            begin = time.time()
            order = [v for v in VICTIMS for _ in range(each)]
            dice.shuffle(order)
            broken, change = False, time.monotonic() + 5
            for victim in order:
                if time.monotonic() > change:
                    broken = not broken
                    demo.site.relays.command("cut" if broken else "pass")
                    change = time.monotonic() + (12 if broken else 15)
                self.kill_once(demo, victim)
                threading.Event().wait(dice.uniform(0.1, 1.2))  # the random moment of the next death
            demo.site.relays.command("pass")
            wait_for("answer of the collector", demo.faultline.ready, 15)
            end = time.time()
            wait_for("end of every incident", lambda: all(i["state"] == "resolved" for i in demo.incidents()), 90, 0.5)

            for host in ("observer2", "observer3"):
                wait_for(f"backlog of {host}", lambda: (self.seconds_of(demo, host, end - 5, end + 60) or [0])[-1]
                         >= end * 1000, 30, 0.5)
                stamps = self.seconds_of(demo, host, begin, end)
                self.assertEqual(len(stamps), len(set(stamps)), f"{host}: a second stored twice")
                expected = int(end) - int(begin)
                missed = self.missed_ticks(demo, host, begin, end)
                self.assertGreaterEqual(len(stamps) + missed + 1, expected,
                                        f"{host}: {expected - len(stamps)} of {expected} seconds lost, "
                                        f"{missed} of them never sampled")

            incidents = demo.incidents()
            self.assertTrue(incidents, "the site broke and nobody said so")
            for incident in incidents:
                self.assertEqual("lb:lb-www", incident["component"], incident["headline"])
            delivered = {}
            wait_for("every delivery", lambda: all(
                d["result"] == "delivered" for i in demo.incidents()
                for d in demo.faultline.ask("incident", i["id"])["deliveries"]), 60, 0.5)
            for hook in demo.receiver.received():
                delivered.setdefault(hook["id"], []).append(hook)
            repeated = {k: len(v) for k, v in delivered.items() if len(v) > 2}
            self.assertEqual({}, repeated, "told more than twice")
            recorded = {d["id"]: f"{i['id']} {d['step']}" for i in demo.incidents()
                        for d in demo.faultline.ask("incident", i["id"])["deliveries"]}
            self.assertEqual(set(recorded), set(delivered), "recorded and told are the same ids")


if __name__ == "__main__":
    unittest.main()
