"""A small site's server: python3 server.py PORT NAME. GET / is a page, GET /healthz needs nothing. Each is a process of
its own, so that one can be killed or stopped."""

import http.server
import socket
import sys
import time


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    delay_s = 0.0

    def do_GET(self):
        if self.path.startswith("/healthz"):
            return self.answer(200, "ok\n")
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
    server = Server(("127.0.0.1", int(sys.argv[1])), Handler)
    server.name = sys.argv[2]
    print("listening", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
