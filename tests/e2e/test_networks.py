"""What only a network shows: observers cut off, gateways that die, addresses that vanish, firewalls. Hosts are network
namespaces of the test's own (root)."""

import contextlib
import os
import pathlib
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from e2e import SiteCase  # noqa: E402

import netns  # noqa: E402
from demo import Demo  # noqa: E402
from demo_site import Site  # noqa: E402
from programs import Faultline, Program  # noqa: E402

WHY_NOT = netns.available()


class NetworkDemo(Demo):
    """A demo whose site, collector and observers are hosts of a Net. `observers`: {name: (site, address, gateway)}."""

    def __init__(self, net, hops=("haproxy",), observers=None, references=None,
                 more_addresses=()):
        self.net = net
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="faultline-net-"))
        net.host("web", "10.77.0.2")
        net.host("ops", "10.77.0.1")
        for address in more_addresses:
            netns.run("ip", "-n", net.name("web"), "addr", "add", f"{address}/24", "dev", "eth0")
        self.site = Site(self.directory / "site", hops=hops, address="10.77.0.2", more_addresses=more_addresses,
                         prefix=net.enter("web"))
        self.faultline = Faultline(None, self.directory / "faultline", prefix=net.enter("ops"))
        self.receiver = None
        self.observers = {name: where[0] for name, where in observers.items()}
        self.where = observers
        self.references = references or []
        self.stack = contextlib.ExitStack()
        for name, (_, address, gateway) in observers.items():
            if gateway:
                net.host(name, address, bridge="far", gateway=gateway)
            else:
                net.host(name, address)

    def config(self):
        urls = ", ".join(f'"{url}"' for url in self.references)
        sites = ", ".join(f"{s}: {{references: [{urls}]}}" for s in sorted(set(self.observers.values())))
        hosts = ", ".join(f"{h}: {{site: {s}}}" for h, s in self.observers.items())
        return (self.faultline.collector_section("tcp://10.77.0.1:7440") + f"sites: {{{sites}}}\nhosts: {{{hosts}}}\n" +
                self.site.service_yaml())

    def __enter__(self):
        try:
            self.stack.callback(shutil.rmtree, self.directory, True)
            self.stack.callback(self.faultline.stop)
            self.stack.enter_context(self.site)
            self.faultline.config_file.write_text(self.config())
            for host in self.observers:
                self.faultline.enroll(host)
            self.faultline.start_collector()
            for host in self.observers:
                self.faultline.start_agent(host, prefix=self.net.enter(host))
            return self
        except BaseException:
            self.stack.close()
            raise


@unittest.skipIf(WHY_NOT, WHY_NOT)
class Observers(SiteCase):
    def test_one_of_three_observers_cut_off_from_the_site_is_not_the_site(self):
        with netns.Net() as net:
            observers = {"o1": ("east", "10.77.0.11", None), "o2": ("west", "10.77.0.12", None),
                         "o3": ("north", "10.77.0.13", None)}
            with NetworkDemo(net, observers=observers) as demo:
                demo.wait_proven()
                net.drop("o2", "ip daddr 10.77.0.2")
                incident = demo.wait_incident(30)
                self.assertRegex(incident["component"], r"^(observer:o2|path:o2/.*)$", incident["headline"])
                self.assertNotEqual("page", incident["severity"])
                net.pass_all("o2")
                demo.wait_resolved(incident["id"], 60)
                self.assertEqual({incident["component"]}, {i["component"] for i in demo.incidents()})

    def test_three_observers_behind_one_dead_gateway_are_its_egress_not_the_balancer(self):
        with netns.Net() as net:
            net.bridge("far")
            net.router("gw", ("lan", "10.77.0.254"), ("far", "10.78.0.254"))
            net.host("ref1", "10.77.0.31")
            net.host("ref2", "10.77.0.32")
            observers = {f"o{n}": ("branch", f"10.78.0.1{n}", "10.78.0.254") for n in (1, 2, 3)}
            with NetworkDemo(net, observers=observers,
                             references=["http://10.77.0.31:80/", "http://10.77.0.32:80/"]) as demo:
                here = pathlib.Path(demo.directory)
                server = pathlib.Path(__file__).resolve().parents[2] / "deploy/demo/server.py"
                for n, address in ((1, "10.77.0.31"), (2, "10.77.0.32")):
                    program = Program(f"ref{n}", [sys.executable, str(server), f"{address}:80", f"ref{n}"],
                                      here / f"ref{n}.log", net.enter(f"ref{n}")).start()
                    demo.stack.callback(program.stop)
                for host in ("web", "ops", "ref1", "ref2"):
                    net.route(host, "10.78.0.0/24", "10.77.0.254")
                demo.wait_proven()
                # The way to the collector stays: a second line that carries no user traffic.
                net.drop("gw", "ip daddr != { 10.77.0.1, 10.78.0.0/24 }")
                incident = demo.wait_incident(30)
                self.assertEqual("egress:branch", incident["component"], incident["headline"])
                net.pass_all("gw")
                demo.wait_resolved(incident["id"], 60)
                self.assertEqual(["egress:branch"], [i["component"] for i in demo.incidents()])

    def test_without_references_a_dead_gateway_is_a_guess_and_the_status_claims_nothing(self):
        with netns.Net() as net:
            net.bridge("far")
            net.router("gw", ("lan", "10.77.0.254"), ("far", "10.78.0.254"))
            observers = {f"o{n}": ("branch", f"10.78.0.1{n}", "10.78.0.254") for n in (1, 2, 3)}
            with NetworkDemo(net, observers=observers) as demo:
                for host in ("web", "ops"):
                    net.route(host, "10.78.0.0/24", "10.77.0.254")
                demo.wait_proven()
                self.assertIn("users served", demo.faultline.cli("status")[1].splitlines()[0])
                net.drop("gw", "ip daddr != { 10.77.0.1, 10.78.0.0/24 }")
                incident = demo.wait_incident(30)
                self.assertEqual(("egress:branch", "low", "backends:www", "unknown", "warning"), tuple(
                    incident[key] for key in ("component", "confidence", "runner_up", "impact", "severity")),
                    incident["headline"])
                self.assertIn("references for this one", " ".join(e["text"] for e in incident["evidence"]))
                status = demo.faultline.ask("status")
                self.assertEqual(["unknown"], [s["verdict"] for s in status["services"]])
                net.pass_all("gw")
                demo.wait_resolved(incident["id"], 60)
                self.assertEqual(["egress:branch"], [i["component"] for i in demo.incidents()])

    def test_a_site_that_vanishes_for_all_observers_is_one_page(self):
        with netns.Net() as net:
            observers = {f"o{n}": (f"s{n}", f"10.77.0.1{n}", None) for n in (1, 2, 3)}
            with NetworkDemo(net, observers=observers) as demo:
                demo.wait_proven()
                net.drop("web", "ip saddr 10.77.0.2")
                incident = demo.wait_incident(30)
                self.assertEqual(("backends:www", "low", "lb:lb-www", "page"), tuple(
                    incident[key] for key in ("component", "confidence", "runner_up", "severity")),
                    incident["headline"])
                self.assertNotIn("users served", demo.faultline.cli("status")[1].splitlines()[0])
                net.pass_all("web")
                demo.wait_resolved(incident["id"], 60)
                self.assertEqual(1, len(demo.incidents()))


@unittest.skipIf(WHY_NOT, WHY_NOT)
class Addresses(SiteCase):
    def test_one_of_three_balancer_addresses_dead_is_partial_and_named(self):
        with netns.Net() as net:
            observers = {f"o{n}": (f"s{n}", f"10.77.0.1{n}", None) for n in (1, 2, 3)}
            with NetworkDemo(net, observers=observers, more_addresses=["10.77.0.3", "10.77.0.4"]) as demo:
                demo.wait_proven()
                net.drop("web", "ip daddr 10.77.0.3")
                incident = demo.wait_incident(30)
                self.assertEqual(("lb:lb-www", "partial"), (incident["component"], incident["mode"]),
                                 incident["headline"])
                self.assertIn("10.77.0.3", incident["headline"])
                net.pass_all("web")
                demo.wait_resolved(incident["id"], 60)
                self.assertEqual(1, len(demo.incidents()))


if __name__ == "__main__":
    unittest.main()
