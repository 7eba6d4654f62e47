"""The parts of the demo's site, each with real processes: servers, relays whose ways break, balancers, the receiver."""

import base64
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "deploy" / "demo"))

import demo  # noqa: E402
import demo_site  # noqa: E402
from programs import free_port, wait_for  # noqa: E402


def get(port, path="/", timeout=5):
    """(status, text) of a request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def have(name):
    try:
        demo_site.find_program(name)
        return True
    except FileNotFoundError:
        return False


class WithDirectory(unittest.TestCase):
    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="faultline-parts-"))
        self.addCleanup(shutil.rmtree, self.directory, True)


class RelayTest(WithDirectory):
    def setUp(self):
        super().setUp()
        self.port, self.ways = free_port(), [free_port(), free_port()]
        command = [sys.executable, str(demo_site.HERE / "server.py"), str(self.port), "app"]
        self.server = demo_site.Program("app", command, self.directory / "app.log").start()
        self.addCleanup(self.server.stop)
        wait_for("server", demo_site.answers(self.port), 10)
        self.relays = demo_site.Relays([(way, self.port) for way in self.ways])
        self.addCleanup(self.relays.stop)

    def test_passes_as_if_it_were_not_there(self):
        self.assertEqual(get(self.ways[0]), get(self.port))

    def test_cut_refuses_new_connections_and_resets_open_ones(self):
        with socket.create_connection(("127.0.0.1", self.ways[0]), 5) as open_one:
            open_one.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            self.assertTrue(open_one.recv(100).startswith(b"HTTP/1.1 200"))
            self.relays.command("cut", 0)
            with self.assertRaises(ConnectionRefusedError):
                get(self.ways[0])
            with self.assertRaises(ConnectionResetError):
                while open_one.recv(1000):
                    pass
        self.assertEqual(get(self.ways[1])[0], 200)  # the other way is whole

    def test_drop_answers_nothing_neither_new_connections_nor_open_ones(self):
        with socket.create_connection(("127.0.0.1", self.ways[0]), 5) as open_one:
            open_one.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            self.assertTrue(open_one.recv(100).startswith(b"HTTP/1.1 200"))
            self.relays.command("drop", 0)
            open_one.settimeout(0.3)
            with self.assertRaises(TimeoutError):
                while open_one.recv(1000):  # the rest of the first answer
                    pass
            open_one.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            with self.assertRaises(TimeoutError):
                open_one.recv(100)
        for _ in range(3):
            with self.assertRaises(TimeoutError):
                socket.create_connection(("127.0.0.1", self.ways[0]), 0.2)

    def test_ways_come_back_after_each_fault(self):
        for fault in ("cut", "drop", "cut", "drop"):
            self.relays.command(fault)
            self.relays.command("pass")
            for way in self.ways:
                self.assertEqual(get(way)[0], 200, fault)

    def test_a_way_to_a_dead_server_is_reset_not_silent(self):
        self.server.process.kill()
        self.server.process.wait()
        with self.assertRaises((ConnectionResetError, http.client.RemoteDisconnected)):
            get(self.ways[0])


class ReceiverTest(WithDirectory):
    def setUp(self):
        super().setUp()
        self.receiver = demo_site.Receiver(self.directory).start()
        self.addCleanup(self.receiver.stop)
        self.secret = base64.b64decode(self.receiver.secret_file.read_text().strip().removeprefix("whsec_"))

    def post(self, event, webhook_id=None, age_s=0, spoil=False):
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        webhook_id = webhook_id or (event.get("id", "?") if isinstance(event, dict) else "?")
        stamp = str(int(time.time()) - age_s)
        digest = hmac.new(self.secret, f"{webhook_id}.{stamp}.".encode() + body, hashlib.sha256).digest()
        if spoil:
            digest = digest[::-1]
        request = urllib.request.Request(f"http://127.0.0.1:{self.receiver.port}/hook", body, {
            "webhook-id": webhook_id, "webhook-timestamp": stamp,
            "webhook-signature": "v1," + base64.b64encode(digest).decode()})
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status
        except urllib.error.HTTPError as refused:
            refused.close()
            return refused.code

    def event(self, **changes):
        event = {"specversion": "1.0", "id": "m-1", "source": "/faultline/A", "type": "faultline.incident.opened",
                 "time": "2026-11-23T13:45:00.000Z", "subject": "A-1", "data": {}}
        event.update(changes)
        return {key: value for key, value in event.items() if value is not None}

    def test_what_is_signed_and_whole_is_kept_with_its_arrival(self):
        before = time.time()
        self.assertEqual(self.post(self.event()), 204)
        kept = self.receiver.received()
        self.assertEqual([line["id"] for line in kept], ["m-1"])
        self.assertEqual(kept[0]["event"]["subject"], "A-1")
        self.assertTrue(before <= kept[0]["at"] <= time.time())

    def test_refuses_wrong_signatures_old_stamps_and_other_bodies(self):
        self.assertEqual(self.post(self.event(), spoil=True), 401)
        self.assertEqual(self.post(self.event(), age_s=301), 401)
        self.assertEqual(self.post(self.event(), age_s=-400), 401)
        self.assertEqual(self.post(self.event(), webhook_id="m-2"), 400)
        self.assertEqual(self.post(self.event(specversion="0.3")), 400)
        self.assertEqual(self.post(self.event(subject=None)), 400)
        self.assertEqual(self.post(b"{"), 400)
        self.assertEqual(self.receiver.received(), [])

    def test_the_signature_is_the_one_of_standard_webhooks(self):
        # The example of https://github.com/standard-webhooks/standard-webhooks (libraries' tests).
        sys.path.insert(0, str(demo_site.HERE))
        import receiver
        self.assertEqual(
            receiver.signature("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330",
                               b'{"test": 2432232314}'),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")

    def test_fails_while_it_is_told_to(self):
        failing = pathlib.Path(str(self.receiver.output) + ".fail")
        failing.write_text("503")
        self.assertEqual(self.post(self.event()), 503)
        failing.unlink()
        self.assertEqual(self.post(self.event()), 204)


class SiteTest(WithDirectory):
    def site(self, hops):
        for hop in hops:
            if not have(hop):
                self.skipTest(f"{hop} is not installed")
        site = demo_site.Site(self.directory / "site", hops=hops)
        self.addCleanup(site.stop)
        return site.start()

    def check(self, hops):
        site = self.site(hops)
        port = site.hop_ports[0]
        pages = {get(port)[1] for _ in range(12)}
        self.assertEqual(len(pages), 3, "every server has its turn")
        site.relays.command("cut")
        self.assertGreaterEqual(get(port, timeout=20)[0], 500)
        for direct in site.ports:  # the servers are fine when asked directly
            self.assertEqual(get(direct)[0], 200)
        site.relays.command("pass")
        wait_for("repair", lambda: get(port, timeout=20)[0] == 200, 20)
        processes = [*site.balancers, *site.servers.values()]
        site.stop()
        self.assertFalse(any(program.running() for program in processes))
        with self.assertRaises(ConnectionRefusedError):
            get(port)

    def test_haproxy_in_front(self):
        self.check(["haproxy"])

    def test_nginx_in_front(self):
        self.check(["nginx"])

    def test_a_killed_server_comes_back(self):
        site = self.site(["haproxy"])
        site.kill_server(1)
        with self.assertRaises(ConnectionRefusedError):
            get(site.ports[1])
        wait_for("two servers serve", lambda: {get(site.hop_ports[0], timeout=20)[0] for _ in range(6)} == {200}, 20)
        site.restart_server(1)
        self.assertEqual(get(site.ports[1])[0], 200)

    def test_the_statistics_name_every_server(self):
        site = self.site(["haproxy"])
        text = get(site.stats_port, "/stats;csv")[1]
        for name in site.names:
            self.assertIn(f"apps,{name},", text)
        for relay_port in site.relay_ports:
            self.assertIn(f",127.0.0.1:{relay_port},", text)


class Judge(unittest.TestCase):
    RIGHT = {"component": "lb:lb-www", "mode": "down", "confidence": "high", "severity": "page",
             "headline": "lb:lb-www down, certain: 0 of 3"}

    def judge(self, *incidents):
        return demo.judge(list(incidents), "lb:lb-www", ("down", "hung"), "page")

    def test_only_the_one_right_and_certain_incident_is_right(self):
        self.assertEqual([], self.judge(self.RIGHT))
        for change in ({"mode": "slow"}, {"confidence": "medium"}, {"severity": "ticket"}, {"component": "backends:www"},
                       {"headline": "www is down"}):
            self.assertNotEqual([], self.judge({**self.RIGHT, **change}), change)
        self.assertNotEqual([], self.judge())
        self.assertNotEqual([], self.judge(self.RIGHT, self.RIGHT))


class Options(unittest.TestCase):
    def test_what_cannot_be_carried_out_is_said_before_anything_is_installed(self):
        for words in (["--bogus"], ["--seconds", "-5"], ["--directory", "/proc/nope"], ["--fault", "backend"],
                      ["--demo", "--seconds", "3"]):
            result = subprocess.run([str(ROOT / "deploy/quickstart"), *words], capture_output=True, text=True, timeout=30)
            self.assertEqual(2, result.returncode, words)
            self.assertIn("error:", result.stderr)
            self.assertNotIn("build:", result.stderr)


if __name__ == "__main__":
    os.chdir(ROOT)
    unittest.main()
