"""kill -9 of link, core, delivery and an agent at random moments, while the site breaks and heals: no acknowledged sample
lost or doubled, no webhook missed, at most one repeated, under the same id. 20 each in the normal run, 500 in the long
one; FAULTLINE_KILLS sets another number, FAULTLINE_SEED repeats the order and the pauses of a run, FAULTLINE_KEEP is
a directory that a failed run leaves its files in."""

import collections
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from e2e import ROOT, SiteCase, times  # noqa: E402

from demo import Demo  # noqa: E402
from programs import wait_for  # noqa: E402

VICTIMS = ("link", "core", "delivery", "agent")
BREAKS_S, BREAKS_MAX_S, HEALS_S = 5, 45, 10  # broken until it is told, in between these
RESTS_S = 660  # what fails again within ten minutes is held open for minutes: each component gets its rest
LENS = ROOT / "build" / "dev" / "bin" / "store_points"


class Faults:
    """One component after the other breaks, until somebody has said so, and heals."""

    def __init__(self, demo):
        self.demo = demo
        relays = demo.site.relays
        self.rows = {"lb:lb-www": (lambda: relays.command("cut"), lambda: relays.command("pass"))}
        for n, name in enumerate(demo.site.names):
            self.rows[f"backend:www/{name}"] = (lambda n=n: demo.site.kill_server(n),
                                                lambda n=n: demo.site.restart_server(n))
        self.healed, self.broken, self.changed = {}, None, time.monotonic()

    def is_told(self):
        return any(i["component"] == self.broken and i["state"] != "resolved" for i in self.demo.incidents())

    def heal(self):
        if self.broken:
            self.rows[self.broken][1]()
            self.healed[self.broken] = self.changed = time.monotonic()
            self.broken = None

    def step(self):
        since = time.monotonic() - self.changed
        if self.broken:
            if since > BREAKS_MAX_S or (since > BREAKS_S and self.is_told()):
                self.heal()
            return
        rested = [c for c in self.rows if time.monotonic() - self.healed.get(c, -RESTS_S) >= RESTS_S]
        if since > HEALS_S and rested:
            self.broken, self.changed = rested[0], time.monotonic()
            self.rows[self.broken][0]()


class Kill(SiteCase):
    def pid_of(self, demo, victim):
        """0 while it waits for its restart."""
        return demo.faultline.processes().get(victim, 0)

    def kill_once(self, demo, victim):
        """SIGKILL, and wait until it is back. Returns when it died."""
        if victim == "agent":
            program = demo.faultline.agents["observer1"]
            died = time.time()
            program.process.kill()
            program.process.wait()
            program.start()
            return died
        before = wait_for(victim, lambda: self.pid_of(demo, victim), 10)
        died = time.time()
        os.kill(before, signal.SIGKILL)
        wait_for(f"{victim} again", lambda: self.pid_of(demo, victim) not in (0, before), 10)
        return died

    def points(self, demo, metric, host, begin, end):
        """{second: value}"""
        answer = demo.faultline.ask("query", metric, "--host", host, "--from", f"{begin:.3f}", "--to", f"{end:.3f}")
        self.assertFalse(answer.get("truncated"), "the test asks for too much")
        return {round(t / 1000): value for s in answer["series"] for t, value in s["points"]}

    def has_caught_up(self, demo, host, end):
        """Its newest sample is of now, and nothing waits in its spool."""
        return (max(self.points(demo, "uptime_s", host, end, end + 600), default=0) >= end
                and not list((demo.faultline.directory / f"{host}.spool").glob("*.spool")))

    def kill_and_break(self, demo, dice, each):
        """All kills in random order at random moments; the site breaks and heals meanwhile. Returns when agents died and
        what broke."""
        order = [v for v in VICTIMS for _ in range(each)]
        dice.shuffle(order)
        faults, deaths = Faults(demo), []
        for victim in order:
            faults.step()
            died = self.kill_once(demo, victim)
            if victim == "agent":
                deaths.append(died)
            threading.Event().wait(dice.uniform(0.05, 0.9))  # the random moment of the next death
        if faults.broken:
            wait_for("word of the last fault",
                     lambda: any(i["state"] != "resolved" for i in demo.incidents()), BREAKS_MAX_S, 0.25)
        faults.heal()
        return deaths, set(faults.healed)

    def assert_every_second(self, demo, host, begin, end):
        """Each second was stored, or the agent itself says that it did not sample it. An hour at a time."""
        seconds, before, stored = [], None, 0
        for start in range(begin, end, 3600):
            until = min(start + 3600, end)
            there = self.points(demo, "uptime_s", host, start, until)
            missed = self.points(demo, "agent_ticks_missed_total", host, start, until)
            self.assertEqual(set(there), set(missed), f"{host}: parts of a batch are missing")
            stored += len(there)
            for second in sorted(there):
                if before:
                    told = missed[second] - before[1]
                    seconds += [(before[0], second, told)] if second - before[0] - 1 != told else []
                before = second, missed[second]
        self.assertEqual([], seconds, f"{host}: lost between (second, second, of them told as never sampled)")
        return stored

    def assert_gaps_are_deaths(self, demo, host, begin, end, deaths):
        """An agent that was killed has not sampled while it was dead; everything else is there. What it sampled last
        may have died with it: it was neither acknowledged nor old enough to be in a file."""
        there = sorted(s for start in range(begin, end, 3600)
                       for s in self.points(demo, "uptime_s", host, start, min(start + 3600, end)))
        missed = self.points(demo, "agent_ticks_missed_total", host, max(begin, end - 3600), end)
        for before, second in zip(there, there[1:]):
            if second - before > 1:
                self.assertTrue(any(before <= died < second + 2 for died in deaths) or missed.get(second, 0) > 0,
                                f"{host}: lost between {before} and {second}, and nobody was killed then")
        return len(there)

    def assert_stored_once(self, demo):
        """Raw rows and blocks of the collector that has ended: nothing twice, no sequence left out."""
        out = subprocess.run([LENS, demo.faultline.data, "uptime_s"], check=True, capture_output=True, text=True,
                             timeout=300).stdout
        lines = [line.split() for line in out.splitlines()]
        values = collections.Counter(tuple(l[1:]) for l in lines if l[0] == "value")
        frames = collections.Counter(tuple(l[1:]) for l in lines if l[0] == "frame")
        self.assertEqual([], [l for l in lines if l[0] == "stream" and l[3] != "0"], "sequences that never came")
        self.assertEqual([], [k for k, n in frames.items() if n > 1], "a batch is twice in the journal")
        self.assertEqual([], [k for k, n in values.items() if n > 1], "a sample is stored twice")
        return collections.Counter(host for host, _ in values)

    def deliveries(self, demo):
        return [(i, d) for i in demo.incidents() for d in demo.faultline.ask("incident", i["id"])["deliveries"]]

    def assert_webhooks(self, demo, incidents):
        """Told is what is recorded, each step under one id, no id more than twice. Returns (told, repeated)."""
        wait_for("every delivery", lambda: all(d["result"] == "delivered" for _, d in self.deliveries(demo)), 60, 0.5)
        recorded = {d["id"]: (i["id"], d["step"]) for i, d in self.deliveries(demo)}
        once = [step for step in recorded.values() if step[1] in ("opened", "resolved")]
        self.assertEqual(len(once), len(set(once)), "a step under two ids")
        for incident in incidents:
            steps = {step for i, step in recorded.values() if i == incident["id"]}
            self.assertLessEqual({"opened", "resolved"}, steps, f"nobody was to be told: {incident['headline']}")
        hooks = demo.receiver.received()
        told = collections.Counter(h["id"] for h in hooks)
        self.assertEqual(set(recorded), set(told), "recorded and told are not the same")
        steps = {(h["event"]["subject"], h["event"]["type"].rsplit(".", 1)[-1], h["id"]) for h in hooks}
        self.assertEqual({(*step, i) for i, step in recorded.items()}, steps)
        self.assertEqual({}, {i: n for i, n in told.items() if n > 2}, "told more than twice")
        return len(told), sum(n - 1 for n in told.values())

    def test_nothing_is_lost_and_no_word_missed_when_processes_die(self):
        each = int(os.environ.get("FAULTLINE_KILLS", times(20, 500)))
        seed = int(os.environ.get("FAULTLINE_SEED", random.SystemRandom().randrange(1 << 30)))
        print(f"seed {seed}, {each} kills each", flush=True)
        self.assertTrue(LENS.exists(), f"{LENS} is not there: build the preset dev first")
        with Demo(severity="warning") as demo:
            try:
                self.kill_and_look(demo, random.Random(seed), each)
            except BaseException:
                print(demo.faultline.cli("status")[1], demo.incidents(), demo.faultline.collector.tail(60), sep="\n")
                if "FAULTLINE_KEEP" in os.environ:
                    shutil.copytree(demo.directory, os.environ["FAULTLINE_KEEP"], ignore=shutil.ignore_patterns("*.sock"))
                raise

    def kill_and_look(self, demo, dice, each):
        demo.wait_proven()
        threading.Event().wait(3)  # what is proven is written down within 2 s
        begin = int(time.time())
        deaths, broken = self.kill_and_break(demo, dice, each)
        wait_for("answer of the collector", demo.faultline.ready, 15)
        end = int(time.time())
        wait_for("end of every incident", lambda: all(i["state"] == "resolved" for i in demo.incidents()), 90, 0.5)
        settled = int(time.time())

        stored = {}
        for host in demo.observers:
            wait_for(f"backlog of {host}", lambda: self.has_caught_up(demo, host, end), 60, 0.5)
        for host in ("observer2", "observer3"):
            stored[host] = self.assert_every_second(demo, host, begin, end + 1)
        stored["observer1"] = self.assert_gaps_are_deaths(demo, "observer1", begin, end + 1, deaths)

        incidents = demo.incidents()
        self.assertTrue(incidents, "the site broke and nobody said so")
        told, repeated = self.assert_webhooks(demo, incidents)

        demo.faultline.stop_programs()
        counted = self.assert_stored_once(demo)
        for host, seconds in stored.items():
            self.assertGreaterEqual(counted[host], seconds, f"{host}: what was answered is not in the files")
        print(f"{4 * each} kills in {end - begin} s, settled after {settled - end} s; seconds stored: {stored}; "
              f"{len(incidents)} incidents of {len(broken)} faults, {told} webhooks, {repeated} repeated", flush=True)


if __name__ == "__main__":
    unittest.main()
