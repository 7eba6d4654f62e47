"""Starts Faultline's own programs in a directory of their own: one collector, any number of agents with keys of their
own. Used by quickstart, the demo and the end-to-end tests. Everything started here ends with stop(); the kernel ends
it too when this process dies (PR_SET_PDEATHSIG)."""

import ctypes
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent():
    """For preexec_fn. Ctrl-C is for the parent, which stops its children in their order."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port():
    """A TCP port on loopback that nobody uses now. Below the range that the kernel gives to outgoing connections, or
    one of them could take it before it is listened on; at random, so that demos side by side do not meet."""
    while True:
        port = random.randrange(12000, 32000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def wait_for(what, condition, seconds, every=0.05):
    """The first true value of condition(), or TimeoutError that says what was waited for."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"no {what} within {seconds} s")
        time.sleep(every)


class Program:
    """A process with its log in a file. `prefix`: words before the command, as ["ip", "netns", "exec", NAME]."""

    def __init__(self, name, command, log, prefix=()):
        self.name, self.command, self.log = name, [*prefix, *command], log
        self.process = None

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            preexec_fn=die_with_parent)
        return self

    def running(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        if self.running():
            self.process.send_signal(number)

    def stop(self, seconds=8):
        """SIGTERM, and SIGKILL where that is not enough; returns the exit code."""
        if self.process is None:
            return None
        self.signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def tail(self, lines=15):
        try:
            text = pathlib.Path(self.log).read_text(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])


class Faultline:
    """A collector and its agents. `config(self)` gives the text of the collector's file once keys and paths are
    known; agents are enrolled under the names given."""

    def __init__(self, bin_dir=None, directory=None, prefix=()):
        self.bin = pathlib.Path(bin_dir or os.environ.get("FAULTLINE_BIN") or ROOT / "build/release/bin")
        self.kept = directory is not None
        self.directory = pathlib.Path(directory or tempfile.mkdtemp(prefix="faultline-"))
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Paths of unix sockets are short: the run directory does not lie below a long one.
        self.run = pathlib.Path(tempfile.mkdtemp(prefix="fl-", dir="/tmp"))
        self.data = self.directory / "data"
        self.data.mkdir(mode=0o700, exist_ok=True)
        self.config_file = self.directory / "faultline.yaml"
        self.collector = Program("collector", [str(self.bin / "faultline-collector"), "--config",
                                               str(self.config_file)], self.directory / "collector.log", prefix)
        self.agents = {}

    def enroll(self, host):
        """Makes the agent's key pair and writes its public key into the list of who may speak."""
        key_file = self.directory / f"{host}.key"
        if not key_file.exists():
            subprocess.run([str(self.bin / "faultline-agent"), "keygen", str(key_file)], check=True,
                           stdout=subprocess.PIPE)
        public = next(line.split()[1] for line in key_file.read_text().splitlines() if line.startswith("public "))
        agents = self.data / "agents"
        lines = agents.read_text().splitlines() if agents.exists() else []
        lines = [line for line in lines if not line.startswith(host + " ")] + [f"{host} {public}"]
        agents.write_text("\n".join(lines) + "\n")
        return public

    def collector_section(self, listen="tcp://127.0.0.1:*"):
        return (f'collector: {{listen: "{listen}", data: "{self.data}", run: "{self.run}", letter: A}}\n')

    def start_collector(self, seconds=15):
        self.collector.start()

        def up():
            if not self.collector.running():
                raise RuntimeError("the collector ended:\n" + self.collector.tail())
            return (self.run / "link.endpoints").exists() and self.ready()

        wait_for("collector that is ready", up, seconds)
        return self

    def endpoint(self):
        return (self.run / "link.endpoints").read_text().split()[0]

    def collector_key(self):
        lines = (self.data / "collector.key").read_text().splitlines()
        return next(line.split()[1] for line in lines if line.startswith("public "))

    def start_agent(self, host, endpoint=None, extra="", prefix=()):
        self.enroll(host)
        spool = self.directory / f"{host}.spool"
        config = self.directory / f"{host}.yaml"
        config.write_text(f'collectors: [{{address: "{endpoint or self.endpoint()}", key: "{self.collector_key()}"}}]\n'
                          f'key_file: "{self.directory / (host + ".key")}"\n'
                          f'spool: {{directory: "{spool}"}}\n' + extra)
        program = Program(host, [str(self.bin / "faultline-agent"), "--config", str(config)],
                          self.directory / f"{host}.log", prefix)
        self.agents[host] = program
        return program.start()

    def cli(self, *words, timeout=20):
        """(exit code, stdout, stderr) of the command line."""
        result = subprocess.run([str(self.bin / "faultline"), "--config", str(self.config_file), *words],
                                capture_output=True, text=True, timeout=timeout)
        return result.returncode, result.stdout, result.stderr

    def ask(self, *words):
        """The parsed answer of a command with --json; RuntimeError with its own words if it failed."""
        code, out, err = self.cli(*words, "--json")
        if code != 0:
            raise RuntimeError(f"faultline {' '.join(words)}: exit {code}: {err.strip() or out.strip()}")
        return json.loads(out)

    def api(self, path):
        """(status, body) of the API over its socket."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(5)
            s.connect(str(self.run / "api.sock"))
            s.sendall(f"GET {path} HTTP/1.1\r\nHost: faultline\r\nConnection: close\r\n\r\n".encode())
            data = b""
            while chunk := s.recv(65536):
                data += chunk
        head, _, body = data.partition(b"\r\n\r\n")
        if b"transfer-encoding: chunked" in head.lower():
            whole, rest = b"", body
            while rest:
                size, _, rest = rest.partition(b"\r\n")
                if int(size, 16) == 0:
                    break
                whole, rest = whole + rest[:int(size, 16)], rest[int(size, 16) + 2:]
            body = whole
        return int(head.split()[1]), body.decode(errors="replace")

    def ready(self):
        try:
            return self.api("/-/ready")[0] == 200
        except (OSError, ValueError, IndexError):
            return False

    def processes(self):
        """{name: pid} of the collector's children."""
        try:
            return {p["name"]: p["pid"] for p in json.loads((self.run / "processes.json").read_text())}
        except (OSError, ValueError):
            return {}

    def stop_programs(self):
        """Agents first, so that the collector hears their last words. The files stay."""
        for agent in self.agents.values():
            agent.signal(signal.SIGTERM)
        for agent in self.agents.values():
            agent.stop()
        self.collector.stop()

    def stop(self):
        self.stop_programs()
        shutil.rmtree(self.run, ignore_errors=True)
        if not self.kept:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
