"""Bad files, bad bytes, wrong keys: a clear error or a counted refusal, and everything keeps running."""

import os
import re
import socket
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from e2e import SiteCase  # noqa: E402

from demo import Demo  # noqa: E402
from programs import Faultline, Program, wait_for  # noqa: E402


class Configs(SiteCase):
    """The collector refuses to start; what it says names file, line, column and the remedy."""

    def refused(self, text, *patterns):
        with Faultline() as faultline:
            faultline.config_file.write_text(faultline.collector_section() + text)
            code, out, err = faultline.cli("check", str(faultline.config_file))
            self.assertNotEqual(0, code)
            self.assertNotIn("Traceback", out + err)
            for pattern in patterns:
                self.assertRegex(out + err, pattern)
            start = subprocess.run(faultline.collector.command, capture_output=True, text=True, timeout=10)
            self.assertEqual(2, start.returncode, start.stderr)
            self.assertRegex(start.stderr, r"faultline\.yaml:\d+:\d+: error: ")

    def test_a_misspelt_key_is_shown_with_the_word_that_was_meant(self):
        self.refused("services:\n  www:\n    url: http://127.0.0.1:1/\n    depend_on: [main]\n",
                     r"faultline\.yaml:5:5: error: .*depend_on", r"depends_on", r"5 \|     depend_on: \[main\]")

    def test_a_wrong_unit_is_shown_with_those_there_are(self):
        self.refused("services: {www: {url: 'http://127.0.0.1:1/', slo: {latency: 500}}}\n",
                     r"faultline\.yaml:2:\d+: error: .*500", r"ms")

    def test_an_unknown_name_in_depends_on_is_shown(self):
        self.refused("services:\n  main: {kind: db, url: 'http://127.0.0.1:2/'}\n"
                     "  www: {url: 'http://127.0.0.1:1/', depends_on: [mian]}\n", r"mian", r"main")

    def test_a_missing_key_file_is_shown(self):
        self.refused("hooks: {ops: {webhook: {url: 'https://hooks.example.com/a', secret_file: nowhere.key}}}\n",
                     r"nowhere\.key")

    def test_all_errors_are_shown_at_once(self):
        with Faultline() as faultline:
            faultline.config_file.write_text("collector: {lissten: x}\nservices: {www: {url: 7, healt: /h}}\n")
            code, out, err = faultline.cli("check", str(faultline.config_file))
            self.assertNotEqual(0, code)
            self.assertGreaterEqual(len(re.findall(r"error:", out + err)), 3, out + err)


class Bytes(SiteCase):
    def metric(self, demo, name):
        text = demo.faultline.api("/metrics")[1]
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
                   if line.startswith(name) and not line.startswith("#"))

    def test_garbage_and_unknown_keys_disturb_nobody(self):
        with Demo() as demo:
            demo.wait_proven()
            pids = demo.faultline.processes()
            host, port = demo.faultline.endpoint().removeprefix("tcp://").rsplit(":", 1)
            for garbage in (b"GET / HTTP/1.1\r\n\r\n", os.urandom(4096), b"\xff" + b"\0" * 8 + b"\x7f\x03" + b"\0" * 53,
                            b""):
                with socket.create_connection((host, int(port)), 5) as s:
                    s.sendall(garbage)
            # An agent whose key nobody enrolled.
            stranger = demo.directory / "stranger"
            stranger.mkdir()
            subprocess.run([str(demo.faultline.bin / "faultline-agent"), "keygen", str(stranger / "key")], check=True,
                           capture_output=True)
            (stranger / "agent.yaml").write_text(
                f'collectors: [{{address: "{demo.faultline.endpoint()}", key: "{demo.faultline.collector_key()}"}}]\n'
                f'key_file: "{stranger}/key"\nspool: {{directory: "{stranger}/spool"}}\n')
            program = Program("stranger", [str(demo.faultline.bin / "faultline-agent"), "--config",
                                           str(stranger / "agent.yaml")], stranger / "log").start()
            try:
                wait_for("counted refusal", lambda: self.metric(demo, "faultline_link_denied") > 0, 20, 0.3)
            finally:
                program.stop()
            # A collector's key that is not the collector's: the agent says so and goes on trying.
            self.assertEqual(pids, demo.faultline.processes(), "no process died of it")
            self.assertEqual([], demo.incidents())
            agents = {a["host"]: a["state"] for a in demo.faultline.ask("agents")}
            self.assertEqual({"observer1": "reporting", "observer2": "reporting", "observer3": "reporting"},
                             {h: agents.get(h) for h in demo.observers}, agents)

    def test_the_collectors_own_metrics_are_what_promtool_accepts(self):
        with Faultline() as faultline:
            faultline.config_file.write_text(faultline.collector_section())
            faultline.start_collector()
            status, text = faultline.api("/metrics")
            self.assertEqual(200, status)
            check = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
            self.assertEqual((0, ""), (check.returncode, check.stdout + check.stderr))
            self.assertEqual((200, 200), (faultline.api("/-/healthy")[0], faultline.api("/-/ready")[0]))
            self.assertEqual(404, faultline.api("/api/v1/incidents/A-999")[0])
            second = subprocess.run(faultline.collector.command, capture_output=True, text=True, timeout=10)
            self.assertNotEqual(0, second.returncode, "a second collector on the same data refuses")
            self.assertRegex(second.stderr, r"(?i)already|another|lock")


if __name__ == "__main__":
    unittest.main()
