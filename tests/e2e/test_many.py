"""Many observers, services and servers at once: how hard they are probed; one dead balancer is one incident."""

import collections
import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from e2e import SiteCase, times  # noqa: E402

from demo import Demo  # noqa: E402
from programs import wait_for  # noqa: E402

AGENTS, SERVICES, BACKENDS = 40, 10, 12


class ManyDemo(Demo):
    """Ten services behind one HAProxy and its twelve servers; forty agents."""

    def __init__(self):
        super().__init__(observers={f"host{n:02}": f"site{n % 4}" for n in range(AGENTS)})
        from demo_site import Site
        # At random, as a crowd of users makes it: sixty probes a second in turn over twelve servers would give every
        # probe of a service the same server for ever.
        self.site = Site(self.directory / "site", servers=BACKENDS, light=True, balance="random")

    def config(self):
        sites = ", ".join(f"{s}: {{}}" for s in sorted(set(self.observers.values())))
        hosts = ", ".join(f"{h}: {{site: {s}}}" for h, s in self.observers.items())
        backends = ", ".join(f'{{name: {n}, url: "http://127.0.0.1:{p}"}}'
                             for n, p in zip(self.site.names, self.site.ports))
        services = "".join(f'  s{n}: {{url: "{self.site.url}s{n}/", health: /healthz/s{n}, through: [lb-all], '
                           f"backends: [{backends}]}}\n" for n in range(SERVICES))
        port, stats = self.site.hop_ports[0], self.site.stats_port
        return (self.faultline.collector_section() + f"sites: {{{sites}}}\nhosts: {{{hosts}}}\n"
                f'balancers: {{lb-all: {{addresses: ["127.0.0.1:{port}"], '
                f'stats: "http://127.0.0.1:{stats}/stats;csv"}}}}\n'
                f"services:\n{services}" + self.receiver.hook_yaml())

    def requests(self, since, until):
        """Probes per (server, service) and second: {(server, service): [count, …]}; HAProxy's own checks left out."""
        seconds = int(until - since)
        counts = collections.defaultdict(lambda: [0] * seconds)
        for n in range(BACKENDS):
            for line in self.site.request_log(n).read_text().splitlines():
                at, path, agent = line.split("\t")
                second = int(float(at) - since)
                if "faultline" not in agent or not 0 <= second < seconds:
                    continue
                service = path.replace("/healthz", "").strip("/").split("/")[0]
                counts[(self.site.names[n], service)][second] += 1
        return counts


class Many(SiteCase):
    def quiet_rate(self, demo, begin, seconds):
        """The worst server and service: requests a second over a while."""
        wait_for("quiet seconds", lambda: time.time() > begin + seconds, seconds + 10, 0.5)
        quiet = demo.requests(begin, begin + seconds)
        self.assertEqual(BACKENDS * SERVICES, len(quiet), "every service is probed at every server")
        worst = max(quiet, key=lambda key: sum(quiet[key]))
        rate = sum(quiet[worst]) / seconds
        print(f"requests a second per server and service, quiet: worst {rate:.2f} {worst}")
        return rate

    def test_probes_stay_gentle_and_ten_services_behind_one_dead_balancer_are_one_incident(self):
        with ManyDemo() as demo:
            demo.wait_proven(120)
            begin = time.time() + 6  # the last burst that proved a path has ended
            for _ in range(5):
                rate = self.quiet_rate(demo, begin, times(12, 60))
                if rate <= 6.0:
                    break
                # A late probe on a busy machine is answered by a burst: not a quiet time. Another one will be.
                begin = time.time()
            self.assertLessEqual(rate, 6.0)

            cut = time.time()
            demo.site.relays.command("cut")
            incident = demo.wait_incident(30)
            self.assertEqual(("lb:lb-all", "high"), (incident["component"], incident["confidence"]),
                             incident["headline"])
            wait_for("end of the burst", lambda: time.time() > cut + 6, 10, 0.5)
            demo.site.relays.command("pass")
            demo.wait_resolved(incident["id"], 60)
            self.assertEqual(["lb:lb-all"], [i["component"] for i in demo.incidents()])
            burst = demo.requests(cut, cut + 6)
            worst = max(burst, key=lambda key: max(burst[key]))
            print(f"requests a second per server and service, in a burst: worst {max(burst[worst])}")
            self.assertLessEqual(max(burst[worst]), 30, worst)
            opened = [w for w in demo.receiver.received() if w["event"]["type"].endswith("opened")]
            self.assertEqual(1, len(opened), "one notification for ten services")


if __name__ == "__main__":
    unittest.main()
