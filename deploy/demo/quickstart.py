"""The live part of deploy/quickstart: starts what it needs, shows it, stops it."""

import argparse
import os
import pathlib
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import demo  # noqa: E402
from programs import Faultline, die_with_parent, wait_for  # noqa: E402


def say(text):
    print(text, flush=True)


LATENCY_SECONDS = 15  # an idle disk has no latency: then the page comes without it


def latency_known(faultline):
    """Whether any disk of this host has answered a request since the agent started."""
    try:
        hosts = faultline.ask("status")["hosts"]
    except (RuntimeError, KeyError):
        return False
    disks = [d for h in hosts for d in (h.get("view") or h).get("disks") or []]
    return any((d.get(key) or -1) >= 0 for d in disks for key in ("read_await_ms", "write_await_ms"))


def say_page(faultline):
    say("\n" + faultline.cli("status")[1].rstrip() + "\n")


def watch(faultline, seconds):
    """`status --watch` in front until it ends, Ctrl-C or so many seconds are over."""
    process = subprocess.Popen([str(faultline.bin / "faultline"), "--config", str(faultline.config_file), "status",
                                "--watch"], preexec_fn=die_with_parent)
    try:
        process.wait(seconds)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        pass
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def show_in_pipe(faultline, seconds):
    """Without a terminal: the page, a line per change, the page at the end."""
    started = time.monotonic()
    patience = min(LATENCY_SECONDS, seconds or LATENCY_SECONDS)
    try:
        try:
            wait_for("latency of a disk", lambda: latency_known(faultline), patience, 0.5)
        except TimeoutError:
            pass
        say_page(faultline)
        left = None if seconds is None else seconds - (time.monotonic() - started)
        if left is None or left > 0:
            watch(faultline, left)
    except KeyboardInterrupt:
        pass
    finally:
        say_page(faultline)


def show_this_host(options):
    """A collector and an agent on this host, the config written by `faultline setup`, `status --watch` in front."""
    host = os.uname().nodename.split(".")[0] or "localhost"
    faultline = Faultline(directory=home_of(options))
    try:
        found = subprocess.run([str(faultline.bin / "faultline"), "setup"], capture_output=True, text=True)
        if found.returncode != 0:
            sys.exit(f"quickstart: faultline setup failed: {found.stderr.strip()}")
        sections = strip_section(found.stdout, "collector")
        faultline.config_file.write_text(faultline.collector_section() + sections)
        code, out, err = faultline.cli("check", str(faultline.config_file))
        if code != 0:
            sys.exit(f"quickstart: the config that setup wrote does not pass check:\n{out}{err}")
        say(f"config  {faultline.config_file}\ndata    {faultline.data}")
        faultline.enroll(host)
        faultline.start_collector()
        faultline.start_agent(host)
        say("started a collector and an agent on this host; Ctrl-C stops both")
        (watch if sys.stdout.isatty() else show_in_pipe)(faultline, options.seconds)
    except KeyboardInterrupt:
        pass
    except (TimeoutError, RuntimeError) as why:
        sys.exit(f"quickstart: {why}\n{faultline.collector.tail()}")
    finally:
        faultline.stop()
        say(f"\nstopped; config {faultline.config_file}, data {faultline.data}\n"
            "run deploy/quickstart again to go on with the same data")


def home_of(options):
    return pathlib.Path(options.directory or os.environ.get("XDG_STATE_HOME") or
                        pathlib.Path.home() / ".local/state") / "faultline-quickstart"


def strip_section(text, key):
    """YAML without one top-level key: quickstart puts its own collector section in its place."""
    kept, skipping = [], False
    for line in text.splitlines():
        if line.startswith(key + ":"):
            skipping = True
        elif skipping and line and not line[0].isspace() and not line.startswith("#"):
            skipping = False
        if not skipping:
            kept.append(line)
    return "\n".join(kept) + "\n"


def parse(words):
    """The options; ends with a sentence and exit code 2 where they cannot be carried out."""
    parser = argparse.ArgumentParser(prog="deploy/quickstart", add_help=True, allow_abbrev=False,
                                     description="Shows what Faultline sees: this host, or a demo site that breaks.")
    parser.add_argument("--demo", action="store_true", help="a small site of its own, broken and found")
    parser.add_argument("--fault", choices=sorted(demo.FAULTS), help="what the demo breaks (default: balancer)")
    parser.add_argument("--how", choices=("refuse", "drop"),
                        help="how the balancer's ways break: connections refused (default), or packets silently dropped")
    parser.add_argument("--balancer", choices=("haproxy", "nginx"), help="the demo's balancer (default: haproxy)")
    parser.add_argument("--json", action="store_true", help="the demo ends with one JSON object on a line of its own")
    parser.add_argument("--directory", help="where this host's data is kept (default: ~/.local/state)")
    parser.add_argument("--seconds", type=float, help="stop by itself after so long (this host only)")
    parser.add_argument("--parse-only", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    for name in ("fault", "how", "balancer", "json"):
        if not options.demo and getattr(options, name):
            parser.error(f"--{name} is an option of the demo: add --demo")
    for name in ("directory", "seconds"):
        if options.demo and getattr(options, name) is not None:
            parser.error(f"--{name} is not an option of the demo, which ends by itself and keeps nothing")
    if options.seconds is not None and not 0 < options.seconds < 1e7:
        parser.error(f"--seconds must be a number above 0, not {options.seconds:g}")
    if not options.demo:
        home = home_of(options)
        try:
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as why:
            parser.error(f"--directory: {home} cannot be made: {why.strerror}")
        if not os.access(home, os.W_OK | os.X_OK):
            parser.error(f"--directory: {home} cannot be written to")
    options.fault, options.how = options.fault or "balancer", options.how or "refuse"
    options.balancer = options.balancer or "haproxy"
    return options


def interrupted(*_):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # once is enough: the rest is cleaning up
    raise KeyboardInterrupt


def main():
    options = parse(sys.argv[1:])
    if options.parse_only:
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, interrupted)
    if not options.demo:
        show_this_host(options)
        return
    try:
        sys.exit(demo.show(options))
    except KeyboardInterrupt:
        print("\nquickstart: interrupted; everything that it started is stopped", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
