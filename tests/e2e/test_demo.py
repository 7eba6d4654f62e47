"""The demo's site, broken in every way that issue and README speak of; real HAProxy and nginx."""

import os
import signal
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from e2e import SiteCase, times  # noqa: E402

import demo as demo_module  # noqa: E402
from demo import Demo  # noqa: E402


class Case(SiteCase):
    def one_fault(self, demo, inject, repair, component, modes, **fields):
        """From the fault to the resolution; nothing else may open. Returns the incident as it ended."""
        before = {i["id"] for i in demo.incidents()}
        inject()
        first = demo.wait_incident(20, lambda i: i["id"] not in before)
        demo.wait_webhook(first["id"], "opened")
        # How probes end is known two seconds later: a fault repaired before would rightly be called slow.
        demo.wait_incident(10, lambda i: i["id"] == first["id"] and i["mode"] in modes and i["mode"] != "not answering")
        repair()
        demo.wait_resolved(first["id"], 60)
        demo.wait_webhook(first["id"], "resolved")
        new = [i for i in demo.incidents() if i["id"] not in before]
        self.assert_only(new, component, modes, **fields)
        return new[0]


DOWN = ("down", "hung", "not answering")


class OneBalancer(Case):
    def run_through(self, hops):
        for _ in range(times(1, 10)):
            for how in ("cut", "drop"):
                # A site of its own each time: the same component failing again within minutes is held open longer.
                with self.subTest(how=how), Demo(hops=hops) as demo:
                    demo.wait_proven()
                    relays = demo.site.relays
                    self.one_fault(demo, lambda: relays.command(how), lambda: relays.command("pass"), "lb:lb-www",
                                   DOWN, confidence="high", impact="users_down", severity="page")

    def test_haproxy_that_reaches_no_server_is_named(self):
        self.run_through(("haproxy",))

    def test_nginx_that_reaches_no_server_is_named(self):
        self.run_through(("nginx",))


class Servers(Case):
    def test_one_dead_server_is_a_ticket_and_all_dead_servers_are_one_incident(self):
        with Demo() as demo:
            demo.wait_proven()
            for _ in range(times(1, 5)):
                self.one_fault(demo, lambda: demo.site.kill_server(0), lambda: demo.site.restart_server(0),
                               "backend:www/app1", ("down",), severity="ticket")
                # SIGSTOP: connects, never answers.
                self.one_fault(demo, lambda: demo.site.servers["app2"].signal(signal.SIGSTOP),
                               lambda: demo.site.servers["app2"].signal(signal.SIGCONT), "backend:www/app2", DOWN)

                def kill_all():
                    for n in range(3):
                        demo.site.kill_server(n)

                def restart_all():
                    for n in range(3):
                        demo.site.restart_server(n)
                self.one_fault(demo, kill_all, restart_all, "backends:www", DOWN, impact="users_down",
                               severity="page")


class TwoHops(Case):
    def test_the_broken_one_of_two_hops_is_named(self):
        with Demo(hops=("nginx", "haproxy")) as demo:
            demo.wait_proven()
            for _ in range(times(1, 5)):
                self.one_fault(demo, lambda: demo.site.relays.command("cut"),
                               lambda: demo.site.relays.command("pass"), "lb:haproxy-www", DOWN)
                self.one_fault(demo, lambda: demo.site.hop_relays.command("cut"),
                               lambda: demo.site.hop_relays.command("pass"), "lb:nginx-www", DOWN)


class Whole(unittest.TestCase):
    def test_the_demo_ends_with_the_right_verdict_and_a_report(self):
        said = []
        result = demo_module.run("balancer", "refuse", say=said.append, healthy_seconds=2)
        self.assertEqual([], result["wrong"])
        self.assertRegex("\n".join(said), r"lb:lb-www down, certain: 0 of 3 through the balancer, 3 of 3 directly")
        self.assertTrue(any("lb:lb-www" in line and "Timeline" in line for line in said), "the report is shown")


if __name__ == "__main__":
    unittest.main()
