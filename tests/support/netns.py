"""Hosts of a test's own: network namespaces on bridges, all inside namespaces whose names are unique to this process.
Needs root and iproute2; available() says why not.

    with Net() as net:
        net.host("ops", "10.77.0.1"); net.host("web", "10.77.0.2")
        Program("x", [...], log, prefix=net.enter("web"))
        net.isolate("web")      # its cable is pulled
"""

import os
import shutil
import subprocess
import uuid


def available():
    """None, or why namespaces cannot be made here."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None or shutil.which("nft") is None:
        return "iproute2 or nftables is not installed"
    probe = "fl" + uuid.uuid4().hex[:8]
    if subprocess.run(["ip", "netns", "add", probe], capture_output=True).returncode != 0:
        return "network namespaces cannot be made here"
    subprocess.run(["ip", "netns", "del", probe], capture_output=True)
    return None


def run(*words):
    result = subprocess.run(words, capture_output=True, text=True)
    if result.returncode != 0:
        raise RuntimeError(f"{' '.join(words)}: {result.stderr.strip()}")
    return result.stdout


class Net:
    def __init__(self):
        self.id = "fl" + uuid.uuid4().hex[:6]
        self.made = []
        self.cables = {}
        self.count = 0

    def __enter__(self):
        self.namespace("switch")
        self.bridge("lan")
        return self

    def __exit__(self, *_):
        for name in reversed(self.made):
            subprocess.run(["ip", "netns", "del", name], capture_output=True)

    def name(self, host):
        return f"{self.id}-{host}"

    def enter(self, host):
        """The words that run a command on that host."""
        return ["ip", "netns", "exec", self.name(host)]

    def on(self, host, *words):
        return run(*self.enter(host), *words)

    def namespace(self, host):
        run("ip", "netns", "add", self.name(host))
        self.made.append(self.name(host))
        run("ip", "-n", self.name(host), "link", "set", "lo", "up")

    def bridge(self, bridge):
        run("ip", "-n", self.name("switch"), "link", "add", bridge, "type", "bridge")
        run("ip", "-n", self.name("switch"), "link", "set", bridge, "up")

    def cable(self, host, bridge, address, interface="eth0"):
        """A leg of a host on a bridge; address as "10.77.0.2" (a /24)."""
        self.count += 1
        port = f"p{self.count}"
        run("ip", "link", "add", port, "netns", self.name("switch"), "type", "veth", "peer", "name", interface,
            "netns", self.name(host))
        run("ip", "-n", self.name("switch"), "link", "set", port, "master", bridge, "up")
        run("ip", "-n", self.name(host), "addr", "add", f"{address}/24", "dev", interface)
        run("ip", "-n", self.name(host), "link", "set", interface, "up")
        self.cables.setdefault(host, []).append(port)

    def host(self, host, address, bridge="lan", gateway=None):
        self.namespace(host)
        self.cable(host, bridge, address)
        if gateway:
            run("ip", "-n", self.name(host), "route", "add", "default", "via", gateway)

    def router(self, host, *legs):
        """A host with a leg on several bridges that forwards between them: legs are (bridge, address)."""
        self.namespace(host)
        for n, (bridge, address) in enumerate(legs):
            self.cable(host, bridge, address, f"eth{n}")
        self.on(host, "sysctl", "-q", "-w", "net.ipv4.ip_forward=1")

    def route(self, host, network, gateway):
        run("ip", "-n", self.name(host), "route", "add", network, "via", gateway)

    def isolate(self, host, down=True):
        for port in self.cables[host]:
            run("ip", "-n", self.name("switch"), "link", "set", port, "down" if down else "up")

    def drop(self, host, rule):
        """An nftables match whose packets vanish on that host, as "ip daddr 10.77.0.2"; undone by pass_all."""
        self.on(host, "nft", "add", "table", "inet", "fl")
        for hook in ("input", "output", "forward"):
            self.on(host, "nft", "add", "chain", "inet", "fl", hook,
                    "{", "type", "filter", "hook", hook, "priority", "0", ";", "}")
            self.on(host, "nft", "add", "rule", "inet", "fl", hook, *rule.split(), "drop")

    def pass_all(self, host):
        subprocess.run([*self.enter(host), "nft", "delete", "table", "inet", "fl"], capture_output=True)
