"""A site that cannot be probed as configured from the start: TLS with an unknown certificate in front, servers that
redirect plain HTTP, one of them behind a firewall. No incident; every reason is shown, with what to do."""

import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from e2e import SiteCase  # noqa: E402

from demo import Demo  # noqa: E402
from demo_site import Relays  # noqa: E402
from programs import free_port, wait_for  # noqa: E402


class TlsDemo(Demo):
    def __init__(self):
        super().__init__()
        self.certificate = self.directory / "site.pem"
        self.directory.joinpath("site").mkdir(exist_ok=True)
        key, cert = self.directory / "key.pem", self.directory / "cert.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                        "/CN=www.example.com", "-keyout", str(key), "-out", str(cert)], check=True,
                       capture_output=True)
        self.certificate.write_text(cert.read_text() + key.read_text())
        self.firewalled = free_port()

    def __enter__(self):
        os.environ["DEMO_REDIRECT"] = "https://www.example.com"
        self.wall = Relays([(self.firewalled, self.site.ports[2])])
        self.stack.callback(self.wall.stop)
        self.wall.command("drop")
        try:
            return super().__enter__()
        finally:
            del os.environ["DEMO_REDIRECT"]

    def config(self):
        import demo_site
        plain = super().config()
        # HAProxy ends TLS: the same configuration with a certificate on the bind line.
        path = self.site.directory / "haproxy-0.conf"
        text = path.read_text()
        path.write_text(text.replace(f"bind 127.0.0.1:{self.site.hop_ports[0]}",
                                     f"bind 127.0.0.1:{self.site.hop_ports[0]} ssl crt {self.certificate}"))
        self.site.balancers[0].stop()
        self.site.balancers[0].start()
        wait_for("HAProxy with TLS", demo_site.answers(self.site.hop_ports[0]), 10)
        return (plain.replace(f'url: "{self.site.url}"', f'url: "https://www.example.com:{self.site.hop_ports[0]}/"')
                .replace(f"127.0.0.1:{self.site.ports[2]}", f"127.0.0.1:{self.firewalled}"))


class Unproven(SiteCase):
    def test_what_never_worked_opens_nothing_and_is_explained(self):
        with TlsDemo() as demo:
            def explained():
                paths = demo.unproven()
                if not paths:
                    return None
                http = [p for p in paths if p["probe"] == "http"]
                return http if len(http) >= 15 and all(p.get("reason") and p.get("remedy") for p in http) else None
            paths = wait_for("reason for every path", explained, 15, 0.5)
            words = " ".join(f"{p['entrance']} {p['target']}: {p['reason']} {p['remedy']}\n" for p in paths)
            self.assertRegex(words, r"(?i)hop lb-www: .*certificate")
            self.assertRegex(words, r"(?i)backend app1: .*redirect")
            self.assertRegex(words, r"(?i)backend app3: .*(firewall|no answer)")
            self.assertEqual([], demo.incidents())
            text = demo.faultline.cli("status")[1]
            self.assertRegex(text, r"(?i)redirect")


if __name__ == "__main__":
    unittest.main()
