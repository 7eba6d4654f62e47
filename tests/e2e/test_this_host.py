"""deploy/quickstart on this host, without a site: the first true things, and nothing left afterwards."""

import json
import os
import pathlib
import pty
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from e2e import ROOT  # noqa: E402

from programs import die_with_parent, wait_for  # noqa: E402


class ThisHost(unittest.TestCase):
    def setUp(self):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="faultline-host-"))
        self.addCleanup(shutil.rmtree, self.home, True)

    def start(self):
        """quickstart on a terminal of its own; what it shows is collected in self.shown."""
        self.shown = b""
        terminal, inner = pty.openpty()
        process = subprocess.Popen([sys.executable, str(ROOT / "deploy/demo/quickstart.py"), "--directory",
                                    str(self.home)], stdout=inner, stderr=inner, preexec_fn=die_with_parent,
                                   start_new_session=True)
        os.close(inner)
        self.reader = threading.Thread(target=self.collect, args=(terminal,), daemon=True)
        self.reader.start()
        self.addCleanup(lambda: process.poll() is None and process.kill())
        return process

    def collect(self, terminal):
        try:
            while data := os.read(terminal, 65536):
                self.shown += data
        except OSError:
            pass  # the last program on the terminal has ended
        os.close(terminal)

    def status(self):
        config = self.home / "faultline-quickstart" / "faultline.yaml"
        binary = os.environ.get("FAULTLINE_BIN", str(ROOT / "build/release/bin"))
        if not config.exists():
            return None
        result = subprocess.run([f"{binary}/faultline", "--config", str(config), "status", "--json"],
                                capture_output=True, text=True)
        return json.loads(result.stdout) if result.returncode == 0 else None

    def children(self, pid):
        """Every process below pid."""
        found, queue = [], [pid]
        while queue:
            parent = queue.pop()
            for task in pathlib.Path(f"/proc/{parent}/task").glob("*/children"):
                below = [int(p) for p in task.read_text().split()]
                found += below
                queue += below
        return found

    def test_this_hosts_disks_are_shown_with_their_latency_and_ctrl_c_stops_everything(self):
        process = self.start()

        def disks():
            status = self.status() or {}
            hosts = [h for h in status.get("hosts", []) if h["state"] == "reporting"]
            return hosts[0] if hosts and hosts[0].get("disks") and hosts[0].get("cpu_busy") is not None else None
        host = wait_for("disk of this host", disks, 40, 0.5)
        names = {line.split()[2] for line in pathlib.Path("/proc/diskstats").read_text().splitlines()}
        self.assertLessEqual({d["device"] for d in host["disks"]}, names)
        for disk in host["disks"]:
            self.assertIn("read_await_ms", disk)
        latency = re.compile(rf"{host['disks'][0]['device']}\s.*[rw] [\d.]+ (ms|us)")
        wait_for("latency on the terminal", lambda: latency.search(self.shown.decode(errors="replace")), 20)
        started = self.children(process.pid)
        self.assertGreaterEqual(len(started), 7, "collector and its four, agent, status")
        os.killpg(process.pid, signal.SIGINT)
        self.assertEqual(0, process.wait(30))
        left = [p for p in started if pathlib.Path(f"/proc/{p}").exists()
                and "faultline" in pathlib.Path(f"/proc/{p}/cmdline").read_bytes().decode(errors="replace")]
        self.assertEqual([], left)
        self.reader.join(5)
        self.assertNotIn("Traceback", self.shown.decode(errors="replace"))


if __name__ == "__main__":
    unittest.main()
