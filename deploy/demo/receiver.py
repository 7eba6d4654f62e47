"""A webhook receiver that checks what a careful one checks: python3 receiver.py PORT SECRET_FILE OUTPUT.

The signature after Standard Webhooks (HMAC-SHA256 of `id.timestamp.body`), the age of the timestamp (5 minutes), and
that the body is a CloudEvents 1.0 object whose id is the webhook-id. What is accepted becomes a line of OUTPUT:
{"at", "id", "event"}. Wrong signature 401, wrong body 400, otherwise 204. A file OUTPUT.fail, while it exists, makes
every answer the status that it holds."""

import base64
import hashlib
import hmac
import http.server
import json
import os
import pathlib
import sys
import time


def signature(secret, webhook_id, timestamp, body):
    """The value of webhook-signature for these."""
    key = base64.b64decode(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else secret.encode()
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def refuse(self, status, why):
        body = json.dumps({"error": why}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        arrived = time.time()
        body = self.rfile.read(min(int(self.headers.get("Content-Length", 0)), 1 << 20))
        failing = pathlib.Path(self.server.output + ".fail")
        if failing.exists():
            return self.refuse(int(failing.read_text() or 500), "told to fail")
        webhook_id = self.headers.get("webhook-id", "")
        timestamp = self.headers.get("webhook-timestamp", "")
        given = self.headers.get("webhook-signature", "").split()
        if not timestamp.isdigit() or abs(int(timestamp) - arrived) > 300:
            return self.refuse(401, "webhook-timestamp is missing or old")
        expected = signature(self.server.secret, webhook_id, timestamp, body)
        if not any(hmac.compare_digest(expected, one) for one in given):
            return self.refuse(401, "webhook-signature does not match")
        try:
            event = json.loads(body)
        except ValueError:
            return self.refuse(400, "not JSON")
        missing = [key for key in ("specversion", "id", "source", "type", "time", "subject", "data")
                   if key not in event]
        if missing or event["specversion"] != "1.0" or event["id"] != webhook_id:
            return self.refuse(400, f"not a CloudEvents 1.0 object with the webhook's id (missing: {missing})")
        line = json.dumps({"at": arrived, "id": webhook_id, "event": event}) + "\n"
        with open(self.server.output, "a") as out:
            out.write(line)
        self.send_response(204)
        self.end_headers()
        return None

    def log_message(self, *_):
        pass


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    server.daemon_threads = True
    server.secret = pathlib.Path(sys.argv[2]).read_text().strip()
    server.output = sys.argv[3]
    if not os.path.exists(server.output):
        open(server.output, "w").close()
    print("listening", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
