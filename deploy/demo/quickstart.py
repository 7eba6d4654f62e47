"""The live part of deploy/quickstart: starts what it needs, shows it, stops it."""

import argparse
import os
import pathlib
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import demo  # noqa: E402
from programs import Faultline, die_with_parent  # noqa: E402


def say(text):
    print(text, flush=True)


def show_this_host(options):
    """A collector and an agent on this host, the config written by `faultline setup`, `status --watch` in front."""
    home = pathlib.Path(options.directory or os.environ.get("XDG_STATE_HOME") or
                        pathlib.Path.home() / ".local/state") / "faultline-quickstart"
    host = os.uname().nodename.split(".")[0] or "localhost"
    faultline = Faultline(directory=home)
    try:
        found = subprocess.run([str(faultline.bin / "faultline"), "setup"], capture_output=True, text=True)
        if found.returncode != 0:
            sys.exit(f"quickstart: faultline setup failed: {found.stderr.strip()}")
        sections = strip_section(found.stdout, "collector")
        faultline.config_file.write_text(faultline.collector_section() + sections)
        code, out, err = faultline.cli("check", str(faultline.config_file))
        if code != 0:
            sys.exit(f"quickstart: the config that setup wrote does not pass check:\n{out}{err}")
        say(f"config  {faultline.config_file}   (data in {faultline.data})")
        faultline.enroll(host)
        faultline.start_collector()
        faultline.start_agent(host)
        say("started a collector and an agent on this host; Ctrl-C stops both")
        watch = subprocess.Popen([str(faultline.bin / "faultline"), "--config", str(faultline.config_file), "status",
                                  "--watch"], preexec_fn=die_with_parent)
        try:
            watch.wait(options.seconds)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            watch.send_signal(signal.SIGTERM)
            watch.wait()
    except (TimeoutError, RuntimeError) as why:
        sys.exit(f"quickstart: {why}\n{faultline.collector.tail()}")
    finally:
        faultline.stop()
        say("\nstopped; run deploy/quickstart again to go on with the same data")


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


def main():
    parser = argparse.ArgumentParser(prog="deploy/quickstart", add_help=True,
                                     description="Shows what Faultline sees: this host, or a demo site that breaks.")
    parser.add_argument("--demo", action="store_true", help="a small site of its own, broken and found")
    parser.add_argument("--fault", choices=sorted(demo.FAULTS), default="balancer",
                        help="what the demo breaks (default: balancer)")
    parser.add_argument("--how", choices=("refuse", "drop"), default="refuse",
                        help="how the balancer's ways break: connections refused, or packets silently dropped")
    parser.add_argument("--balancer", choices=("haproxy", "nginx"), default="haproxy", help="the demo's balancer")
    parser.add_argument("--json", action="store_true", help="end with one JSON object on a line of its own")
    parser.add_argument("--directory", help="where data is kept (default: ~/.local/state; the demo: a temporary one)")
    parser.add_argument("--seconds", type=float, help="stop by itself after so long (this host only)")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if options.demo:
        sys.exit(demo.show(options))
    show_this_host(options)


if __name__ == "__main__":
    main()
