"""A small real site on loopback ports: HTTP servers, a relay before each, HAProxy or nginx (or both in a row) in front,
and a webhook receiver. Everything is a process of its own and ends with stop()."""

import base64
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys

from programs import Program, die_with_parent, free_port, wait_for

HERE = pathlib.Path(__file__).resolve().parent


def answers(port, address="127.0.0.1", prefix=()):
    """A condition for wait_for: somebody listens on the port (in the namespace that the prefix enters)."""
    def check():
        if prefix:
            return subprocess.run([*prefix, "bash", "-c", f"exec 3<>/dev/tcp/{address}/{port}"],
                                  stderr=subprocess.DEVNULL, timeout=5).returncode == 0
        try:
            socket.create_connection((address, port), 0.5).close()
            return True
        except OSError:
            return False
    return check


class Relays:
    """relay.py with its commands. `ways`: list of (listen, target), each a port or "ADDRESS/PORT"."""

    def __init__(self, ways, prefix=()):
        self.process = subprocess.Popen(
            [*prefix, sys.executable, str(HERE / "relay.py"), *(f"{a}:{b}" for a, b in ways)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
        self.process.stdout.readline()

    def command(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer.startswith("ok"):
            raise RuntimeError(f"the relay did not obey {words}")

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def find_program(name):
    """Debian keeps servers in /usr/sbin, which a user's PATH may lack."""
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if found is None:
        raise FileNotFoundError(f"{name} is not installed: deploy/install demo test")
    return found


def haproxy_config(listen, servers, stats=None, addresses=("127.0.0.1",), balance="roundrobin",
                   admin=None):
    """servers: list of (name, port) on loopback; the balancer itself listens on the addresses; `admin`: path of its
    runtime API's socket."""
    lines = ["global", "    maxconn 2000", *([f"    stats socket {admin} level admin"] if admin else []),
             "defaults", "    mode http", "    timeout connect 2s",
             "    timeout client 15s", "    timeout server 15s", "    timeout check 1s", "    retries 3",
             "    option redispatch", "frontend www", *(f"    bind {a}:{listen}" for a in addresses),
             "    default_backend apps", "backend apps", f"    balance {balance}", "    option httpchk GET /healthz"]
    lines += [f"    server {name} 127.0.0.1:{port} check inter 1s" for name, port in servers]
    if stats:
        lines += ["frontend stats", f"    bind {addresses[0]}:{stats}", "    stats enable", "    stats uri /stats",
                  "    stats show-legends"]  # without it the CSV does not say the servers' addresses
    return "\n".join(lines) + "\n"


def nginx_temp_paths(directory):
    """Debian's nginx would write below /var/lib, where only root may."""
    return "\n".join(f"    {kind}_temp_path {directory}/{kind};"
                     for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))


def nginx_config(directory, listen, servers, address="127.0.0.1"):
    """servers: list of (name, port) on loopback; the balancer itself listens on `address`."""
    upstream = "\n".join(f"        server 127.0.0.1:{port} max_fails=2 fail_timeout=2s;" for _, port in servers)
    return f"""daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log {directory}/nginx-error.log;
events {{ worker_connections 1000; }}
http {{
    access_log off;
{nginx_temp_paths(directory)}
    upstream apps {{
{upstream}
    }}
    server {{
        listen {address}:{listen};
        location / {{
            proxy_pass http://apps;
            proxy_connect_timeout 2s;
            proxy_read_timeout 15s;
            proxy_http_version 1.1;
            proxy_set_header Host $host;
            proxy_set_header Connection "";
        }}
    }}
}}
"""


def nginx_servers_config(directory, listeners):
    """One nginx as many servers, for sites with more of them than this machine has processors. listeners: list of
    (name, address, port, log); a log line is time, path, User-Agent."""
    blocks = "\n".join(f"""    server {{
        listen {address}:{port};
        access_log {log} requests;
        location / {{ return 200 "page of {name}\\n"; }}
    }}""" for name, address, port, log in listeners)
    return f"""daemon off;
master_process off;
pid {directory}/servers.pid;
error_log {directory}/servers-error.log;
events {{ worker_connections 4000; }}
http {{
    log_format requests "$msec\\t$uri\\t$http_user_agent";
    keepalive_requests 100000;
{nginx_temp_paths(directory)}
{blocks}
}}
"""


class Site:
    """`hops`: "haproxy", "nginx", or several from the outside in, as ("nginx", "haproxy"). The innermost one reaches
    each server through a relay; an outer hop reaches the inner one through a relay too (hop_relays). `address` is where
    servers and balancers listen (the outer HAProxy on `more_addresses` too), `prefix` enters their namespace. `light`:
    one nginx plays all servers."""

    def __init__(self, directory, servers=3, hops=("haproxy",), log_requests=False, address="127.0.0.1",
                 more_addresses=(), prefix=(), light=False, balance="roundrobin"):
        self.light, self.balance = light, balance
        self.address, self.more_addresses, self.prefix = address, list(more_addresses), list(prefix)
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.names = [f"app{n + 1}" for n in range(servers)]
        self.ports = [free_port() for _ in self.names]
        self.relay_ports = [free_port() for _ in self.names]
        self.hops = [hops] if isinstance(hops, str) else list(hops)
        self.hop_ports = [free_port() for _ in self.hops]
        self.hop_relay_ports = [free_port() for _ in self.hops[1:]]
        self.stats_port = free_port() if "haproxy" in self.hops else None
        self.log_requests = log_requests
        self.servers, self.balancers = {}, []
        self.relays = self.hop_relays = self.receiver = None

    @property
    def url(self):
        return f"http://{self.address}:{self.hop_ports[0]}/"

    def server_program(self, n):
        command = [sys.executable, str(HERE / "server.py"), f"{self.address}:{self.ports[n]}", self.names[n]]
        if self.log_requests:
            command.append(str(self.request_log(n)))
        return Program(self.names[n], command, self.directory / f"{self.names[n]}.log", self.prefix)

    def request_log(self, n):
        return self.directory / f"{self.names[n]}.requests"

    def start_servers(self):
        if not self.light:
            for n, name in enumerate(self.names):
                self.servers[name] = self.server_program(n).start()
            return
        work = self.directory / "servers"
        work.mkdir(exist_ok=True)
        config = work / "nginx.conf"
        listeners = [(name, self.address, self.ports[n], self.request_log(n)) for n, name in enumerate(self.names)]
        config.write_text(nginx_servers_config(work, listeners))
        command = [find_program("nginx"), "-c", str(config), "-p", str(work), "-e", str(work / "error.log")]
        self.servers["nginx"] = Program("servers", command, work / "log", self.prefix).start()

    def start(self):
        self.start_servers()
        for port in self.ports:
            wait_for(f"server on port {port}", answers(port, self.address, self.prefix), 10)
        self.relays = Relays([(r, f"{self.address}/{p}") for r, p in zip(self.relay_ports, self.ports)], self.prefix)
        if self.hop_relay_ports:
            self.hop_relays = Relays([(r, f"{self.address}/{p}") for r, p in
                                      zip(self.hop_relay_ports, self.hop_ports[1:])], self.prefix)
        for n in reversed(range(len(self.hops))):
            if n == len(self.hops) - 1:
                behind = list(zip(self.names, self.relay_ports))
            else:
                behind = [(self.hops[n + 1], self.hop_relay_ports[n])]
            self.start_balancer(n, behind)
            wait_for(f"{self.hops[n]} on port {self.hop_ports[n]}",
                     answers(self.hop_ports[n], self.address, self.prefix), 10)
        return self

    def start_balancer(self, n, behind):
        kind = self.hops[n]
        config = self.directory / f"{kind}-{n}.conf"
        if kind == "haproxy":
            config.write_text(haproxy_config(self.hop_ports[n], behind, self.stats_port, self.addresses(n),
                                             self.balance, self.directory / "haproxy.sock"))
            command = [find_program("haproxy"), "-db", "-f", str(config)]
        else:
            work = self.directory / f"nginx-{n}"
            work.mkdir(exist_ok=True)
            config.write_text(nginx_config(work, self.hop_ports[n], behind, self.address))
            command = [find_program("nginx"), "-c", str(config), "-p", str(work), "-e", str(work / "error.log")]
        program = Program(kind, command, self.directory / f"{kind}-{n}.log", self.prefix).start()
        self.balancers.append(program)

    def command(self, words):
        """A command of HAProxy's runtime API, as "set server apps/app1 state maint"; its answer."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(5)
            s.connect(str(self.directory / "haproxy.sock"))
            s.sendall(words.encode() + b"\n")
            answer = b""
            while chunk := s.recv(4096):
                answer += chunk
        return answer.decode().strip()

    def addresses(self, n):
        """Where hop n listens."""
        return [self.address, *(self.more_addresses if n == 0 else [])]

    def kill_server(self, n=0):
        self.servers[self.names[n]].process.kill()
        self.servers[self.names[n]].process.wait()

    def restart_server(self, n=0):
        self.servers[self.names[n]] = self.server_program(n).start()
        wait_for(f"server {self.names[n]}", answers(self.ports[n], self.address, self.prefix), 10)

    def service_yaml(self, name="www"):
        """balancers: and services: of the collector's config for this site."""
        at = self.address
        balancers, through = [], []
        for n, kind in enumerate(self.hops):
            hop = f"lb-{name}" if len(self.hops) == 1 else f"{kind}-{name}"
            stats = f', stats: "http://{at}:{self.stats_port}/stats;csv"' if kind == "haproxy" else ""
            each = ", ".join(f'"{a}:{self.hop_ports[n]}"' for a in self.addresses(n))
            balancers.append(f'  {hop}: {{addresses: [{each}]{stats}}}')
            through.append(hop)
        # HAProxy knows the servers by the addresses of their relays: their names in it are told.
        known = [f", server: apps/{n}" if self.hops[-1] == "haproxy" else "" for n in self.names]
        backends = ", ".join(f'{{name: {n}, url: "http://{at}:{p}"{k}}}'
                             for n, p, k in zip(self.names, self.ports, known))
        return ("balancers:\n" + "\n".join(balancers) + f"\nservices:\n  {name}:\n    url: \"{self.url}\"\n"
                f"    health: /healthz\n    through: [{', '.join(through)}]\n    backends: [{backends}]\n")

    def stop(self):
        for program in [*self.balancers, *self.servers.values(), *([self.receiver] if self.receiver else [])]:
            if program.running():
                program.process.kill()
                program.process.wait()
        for relays in (self.relays, self.hop_relays):
            if relays is not None:
                relays.stop()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


class Receiver:
    """receiver.py with what it accepted."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.port = free_port()
        self.secret_file = self.directory / "webhook.secret"
        self.secret_file.write_text("whsec_" + base64.b64encode(os.urandom(24)).decode() + "\n")
        self.secret_file.chmod(0o600)
        self.output = self.directory / "webhooks.jsonl"
        self.program = Program("receiver", [sys.executable, str(HERE / "receiver.py"), str(self.port),
                                            str(self.secret_file), str(self.output)],
                               self.directory / "receiver.log")

    def start(self):
        self.program.start()
        wait_for("webhook receiver", answers(self.port), 10)
        return self

    def hook_yaml(self, severity="ticket"):
        return (f'hooks:\n  receiver: {{webhook: {{url: "http://127.0.0.1:{self.port}/hook", '
                f'secret_file: "{self.secret_file}", allow_private: true}}}}\n'
                f"routes: [{{severity: {severity}, to: [receiver]}}]\n")

    def received(self):
        """What was accepted, oldest first: [{"at", "id", "event"}]."""
        try:
            return [json.loads(line) for line in self.output.read_text().splitlines()]
        except OSError:
            return []

    def stop(self):
        if self.program.running():
            self.program.process.kill()
            self.program.process.wait()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
