"""A small site's server: python3 server.py [ADDRESS:]PORT NAME [REQUEST_LOG]. GET / is a page, GET /healthz needs
nothing. Each is a process of its own, so that one can be killed or stopped. REQUEST_LOG gets a line a request: time,
path, User-Agent. DEMO_REDIRECT in the environment makes every page a redirect to that origin."""

import http.server
import os
import socket
import sys
import time


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    delay_s = 0.0

    def do_GET(self):
        if self.server.requests is not None:
            agent = self.headers.get("User-Agent", "-")
            self.server.requests.write(f"{time.time():.3f}\t{self.path}\t{agent}\n")
            self.server.requests.flush()
        if self.path.startswith("/healthz"):
            return self.answer(200, "ok\n")
        if self.server.redirect:
            self.send_response(301)
            self.send_header("Location", self.server.redirect + self.path)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return None
        if self.delay_s:
            time.sleep(self.delay_s)
        return self.answer(200, f"<!doctype html><title>demo</title><p>page of {self.server.name}</p>\n")

    do_HEAD = do_GET

    def answer(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def server_bind(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        super().server_bind()


def main():
    address, _, port = sys.argv[1].rpartition(":")
    server = Server((address or "127.0.0.1", int(port)), Handler)
    server.name = sys.argv[2]
    server.redirect = os.environ.get("DEMO_REDIRECT")
    server.requests = open(sys.argv[3], "a") if len(sys.argv) > 3 else None
    print("listening", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
