"""What an agent costs: faultline-agent, collectd and prometheus-node-exporter measure the same idle host at 1 Hz, side
by side in one run, so that the machine's mood is the same for all.

The peers are Debian's packages with the same six kinds of measurements: processors, memory, disks, interfaces, load,
pressure (collectd has no pressure). node_exporter is scraped once a second over one connection; collectd sends its
values to a UDP port that is drained; faultline-agent sends to a faultline-collector, over CURVE, and is acknowledged.
What receives is not counted.

Counted is the whole tree of processes of each. CPU: schedstat of all its threads in nanoseconds, plus user and system
time of children that came and went, which the kernel keeps in ticks of 10 ms. Memory: RSS summed over the processes
(pages shared by two of them count twice), PSS (they count once in all), and anonymous memory, which is what the program
itself asked for."""
import argparse
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
COLLECTORS = ["cpu", "diskstats", "loadavg", "meminfo", "netdev", "pressure"]


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# ---- what a tree of processes has used ----

def children_of():
    children = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            children.setdefault(int(fields[1]), []).append(int(name))
        except OSError:
            pass
    return children


def tree(root):
    children, found, todo = children_of(), [], [root]
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += children.get(pid, [])
    return found


def used(root):
    """Per thread nanoseconds on a processor, ticks of ended children, and memory in KiB, of a whole tree."""
    threads, ended_ticks, memory = {}, 0, {"Rss": 0, "Pss": 0, "Anonymous": 0}
    pids = tree(root)
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            ended_ticks += int(fields[13]) + int(fields[14])
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/schedstat") as file:
                    threads[(pid, task)] = int(file.read().split()[0])
            with open(f"/proc/{pid}/smaps_rollup") as file:
                for line in file:
                    key = line.split(":")[0]
                    if key in memory:
                        memory[key] += int(line.split()[1])
        except OSError:
            pass
    return {"threads": threads, "ended_ticks": ended_ticks, "memory": memory, "processes": len(pids)}


def compare(before, after, seconds):
    ns = sum(value - before["threads"].get(key, 0) for key, value in after["threads"].items())
    cpu_s = ns / 1e9 + (after["ended_ticks"] - before["ended_ticks"]) * TICK_S
    return {"cpu_percent": 100 * cpu_s / seconds, "rss_mb": after["memory"]["Rss"] / 1024,
            "pss_mb": after["memory"]["Pss"] / 1024, "anonymous_mb": after["memory"]["Anonymous"] / 1024,
            "threads": len(after["threads"]), "processes": after["processes"]}


# ---- the three ----

class Bench:
    def __init__(self, binaries, directory):
        self.bin, self.dir = binaries, directory
        self.processes, self.stop = [], threading.Event()
        self.received = {}

    def start(self, name, command, **more):
        log = open(self.dir / f"{name}.log", "wb")
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, **more)
        self.processes.append((name, process))
        return process

    def log_of(self, name):
        return (self.dir / f"{name}.log").read_text(errors="replace")[-2000:]

    def end(self):
        self.stop.set()
        for _, process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
        for _, process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def wait(self, name, condition, seconds=15):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if condition():
                return
            if any(process.poll() is not None for other, process in self.processes if other == name):
                break
            time.sleep(0.05)
        raise RuntimeError(f"{name} did not start:\n{self.log_of(name)}")

    def faultline(self):
        data, run = self.dir / "data", self.dir / "run"
        data.mkdir(mode=0o700)
        key = self.dir / "agent.key"
        public = subprocess.run([self.bin / "faultline-agent", "keygen", key], check=True, capture_output=True,
                                text=True).stdout.strip()
        (data / "agents").write_text(f"bench {public}\n")
        config = self.dir / "faultline.yaml"
        config.write_text(f'collector: {{listen: "tcp://127.0.0.1:*", data: "{data}", run: "{run}", letter: A}}\n'
                          "hosts: {bench: {}}\n")
        self.start("collector", [self.bin / "faultline-collector", "--config", config])
        endpoints = run / "link.endpoints"
        self.wait("collector", lambda: endpoints.exists() and endpoints.read_text().strip())
        agent = self.dir / "agent.yaml"
        agent.write_text(f'collectors: [{{address: "{endpoints.read_text().split()[0]}", '
                         f'key_file: "{data / "collector.key"}"}}]\n'
                         f'key_file: "{key}"\nspool: {{directory: "{self.dir / "spool"}"}}\n')
        process = self.start("agent", [self.bin / "faultline-agent", "--config", agent])
        self.wait("agent", lambda: "event=connected" in self.log_of("agent"))
        return process

    def node_exporter(self):
        port = free_port()
        process = self.start("node_exporter", [
            "prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{port}", "--collector.disable-defaults",
            *[f"--collector.{name}" for name in COLLECTORS]])

        def listens():
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        self.wait("node_exporter", listens)
        threading.Thread(target=self.scrape, args=(port,), daemon=True).start()
        return process

    def scrape(self, port):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        due = time.monotonic()
        while not self.stop.is_set():
            connection.request("GET", "/metrics")
            body = connection.getresponse().read()
            self.received["node_exporter"] = sum(1 for line in body.splitlines() if line and line[:1] != b"#")
            due += 1
            self.stop.wait(max(0, due - time.monotonic()))

    def collectd(self):
        drain = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        drain.bind(("127.0.0.1", 0))
        drain.settimeout(0.5)
        config = self.dir / "collectd.conf"
        plugins = "".join(f"LoadPlugin {name}\n" for name in ("cpu", "memory", "disk", "interface", "load", "network"))
        config.write_text(f'Hostname "bench"\nFQDNLookup false\nInterval 1\nBaseDir "{self.dir}"\n'
                          f'PIDFile "{self.dir}/collectd.pid"\nPluginDir "/usr/lib/collectd"\n'
                          f'TypesDB "/usr/share/collectd/types.db"\n{plugins}'
                          f'<Plugin network>\n Server "127.0.0.1" "{drain.getsockname()[1]}"\n</Plugin>\n')
        process = self.start("collectd", ["collectd", "-f", "-C", config])
        threading.Thread(target=self.drain, args=(drain,), daemon=True).start()
        self.wait("collectd", lambda: self.received.get("collectd", 0) > 0)
        return process

    def drain(self, drain):
        while not self.stop.is_set():
            try:
                drain.recv(65536)
                self.received["collectd"] = self.received.get("collectd", 0) + 1
            except TimeoutError:
                pass


def busy(before, after):
    deltas = [b - a for a, b in zip(before, after)]
    return 100 * (1 - (deltas[3] + deltas[4]) / max(1, sum(deltas)))


def cpu_ticks():
    with open("/proc/stat") as file:
        return [int(word) for word in file.readline().split()[1:9]]


def measure(bench, peers, seconds):
    started = {name: start() for name, start in peers.items()}
    time.sleep(12)  # the first scrapes, compiled patterns, a first round of filesystems
    machine, before = cpu_ticks(), {name: used(process.pid) for name, process in started.items()}
    begin = time.monotonic()
    time.sleep(seconds)
    passed = time.monotonic() - begin
    result = {name: compare(before[name], used(process.pid), passed) for name, process in started.items()}
    for name, process in started.items():
        if process.poll() is not None:
            raise RuntimeError(f"{name} ended:\n{bench.log_of(name)}")
    return result, passed, busy(machine, cpu_ticks())


COLUMNS = [("cpu_percent", "CPU % of a core", "{:.3f}"), ("rss_mb", "RSS MB", "{:.1f}"), ("pss_mb", "PSS MB", "{:.1f}"),
           ("anonymous_mb", "anonymous MB", "{:.1f}"), ("threads", "threads", "{:d}"), ("processes", "processes", "{:d}")]


def print_table(result, seconds, machine_busy):
    print(f"{seconds:.0f} s at 1 Hz, machine busy {machine_busy:.0f} %\n")
    print("| agent | " + " | ".join(title for _, title, _ in COLUMNS) + " |")
    print("|---|" + "---|" * len(COLUMNS))
    for name, row in result.items():
        print(f"| {name} | " + " | ".join(form.format(row[key]) for key, _, form in COLUMNS) + " |")
    print()
    ours = result["faultline-agent"]
    for name, row in result.items():
        if name == "faultline-agent":
            continue
        ratios = ", ".join(f"{title} x{ours[key] / row[key]:.2f}" for key, title, _ in COLUMNS[:4] if row[key])
        print(f"faultline-agent / {name}: {ratios}")


def main(arguments):
    parser = argparse.ArgumentParser(prog="tests/bench/run agent", description=__doc__.split("\n\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--json", action="store_true", help="one object instead of the table")
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "build/release/bin", help="where our programs are")
    options = parser.parse_args(arguments)
    missing = [name for name in ("collectd", "prometheus-node-exporter") if shutil.which(name) is None]
    if missing or not (options.bin / "faultline-agent").exists():
        print(f"missing: {', '.join(missing) or options.bin / 'faultline-agent'}; apt-get install collectd-core "
              "prometheus-node-exporter, and cmake --preset release && cmake --build --preset release", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="faultline-bench-") as name:
        bench = Bench(options.bin, pathlib.Path(name))
        try:
            peers = {"faultline-agent": bench.faultline, "collectd": bench.collectd,
                     "node_exporter": bench.node_exporter}
            result, seconds, machine_busy = measure(bench, peers, options.seconds)
        finally:
            bench.end()
    below = all(result["faultline-agent"][key] < result["node_exporter"][key] for key in ("cpu_percent", "rss_mb"))
    if options.json:
        print(json.dumps({"seconds": seconds, "machine_busy_percent": machine_busy, "agents": result,
                          "below_node_exporter": below}))
    else:
        print_table(result, seconds, machine_busy)
    return 0 if below else 1
