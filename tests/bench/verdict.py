"""Seconds from a fault to the verdict and to the delivered webhook, on the demo's real site: tests/bench/run verdict.

Each row is one way of breaking: N fresh sites, each broken at a random moment after it was healthy for a while. `right`
counts verdicts that name the right component, with nothing else opened."""

import argparse
import json
import os
import pathlib
import random
import statistics
import sys
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "deploy" / "demo"), str(ROOT / "tests" / "support")]

import time  # noqa: E402

from demo import Demo, parse_time  # noqa: E402

ROWS = [
    # name, hops, break, repair, component
    ("haproxy cut, refused", ("haproxy",), lambda s: s.relays.command("cut"), lambda s: s.relays.command("pass"),
     "lb:lb-www"),
    ("haproxy cut, dropped", ("haproxy",), lambda s: s.relays.command("drop"), lambda s: s.relays.command("pass"),
     "lb:lb-www"),
    ("nginx cut, refused", ("nginx",), lambda s: s.relays.command("cut"), lambda s: s.relays.command("pass"),
     "lb:lb-www"),
    ("nginx cut, dropped", ("nginx",), lambda s: s.relays.command("drop"), lambda s: s.relays.command("pass"),
     "lb:lb-www"),
    ("one server killed", ("haproxy",), lambda s: s.kill_server(0), lambda s: s.restart_server(0),
     "backend:www/app1"),
]


def once(row, healthy_seconds):
    """(seconds to the verdict, seconds from there to the webhook, sentences about what was wrong) of a fresh site."""
    _, hops, inject, repair, component = row
    with Demo(hops=hops) as demo:
        demo.wait_proven()
        threading.Event().wait(healthy_seconds + random.random())  # a random moment of the second
        if demo.incidents():
            return None, None, [f"before: {demo.incidents()[0]['headline']}"]
        cut = time.time()
        inject(demo.site)
        try:
            incident = demo.wait_incident(20)
            hook = demo.wait_webhook(incident["id"], "opened")
        except TimeoutError as why:
            return None, None, [str(why)]
        repair(demo.site)
        demo.wait_resolved(incident["id"], 60)
        wrong = [i["headline"] for i in demo.incidents() if i["component"] != component]
        return parse_time(incident["detected_at"]) - cut, hook["at"] - parse_time(incident["detected_at"]), wrong


def measure(row, repetitions, healthy_seconds, say):
    verdicts, webhooks, wrong = [], [], []
    for n in range(repetitions):
        verdict, webhook, sentences = once(row, healthy_seconds)
        wrong += [f"{row[0]} {n}: {sentence}" for sentence in sentences]
        if verdict is not None:
            verdicts.append(verdict)
            webhooks.append(webhook)
        say(f"{row[0]} {n + 1}/{repetitions}: {verdict if verdict is None else round(verdict, 2)} s")
    return {"row": row[0], "n": repetitions, "right": repetitions - len(wrong), "wrong": wrong,
            "verdict_s": {"median": statistics.median(verdicts), "max": max(verdicts)} if verdicts else None,
            "webhook_after_verdict_ms": {"median": 1000 * statistics.median(webhooks), "max": 1000 * max(webhooks)}
            if webhooks else None}


def main(argv):
    parser = argparse.ArgumentParser(prog="tests/bench/run verdict", description=__doc__.splitlines()[0])
    parser.add_argument("-n", type=int, default=10, help="repetitions of each row (default 10)")
    parser.add_argument("--only", default="", help="rows whose name contains this")
    parser.add_argument("--healthy", type=float, default=10, help="healthy seconds before the fault (default 10)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    results = [measure(row, options.n, options.healthy, lambda text: print(text, file=sys.stderr, flush=True))
               for row in ROWS if options.only in row[0]]
    if options.json:
        print(json.dumps(results))
    else:
        print(f"{'fault':24} {'right':>7} {'verdict s':>16} {'webhook after it, ms':>24}")
        for r in results:
            v, w = r["verdict_s"], r["webhook_after_verdict_ms"]
            print(f"{r['row']:24} {r['right']:>3}/{r['n']:<3} "
                  + (f"{v['median']:>7.2f} /{v['max']:>6.2f} {w['median']:>14.0f} /{w['max']:>6.0f}" if v else "  no verdict")
                  + "   (median / max)")
        for r in results:
            for sentence in r["wrong"]:
                print("wrong:", sentence)
    return 0 if all(not r["wrong"] for r in results) else 1


if __name__ == "__main__":
    os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    sys.exit(main(sys.argv[1:]))
