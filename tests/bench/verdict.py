"""Seconds from a fault to the verdict and to the delivered webhook, on the demo's real site: tests/bench/run verdict.

Each row is one way of breaking: N fresh sites, each broken at a random moment after it was healthy for a while. `right`
counts repetitions whose only incident names the right component and mode, once, certain and with the right severity. Exit
code 1 if one was wrong or a bound is passed."""

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

from demo import Demo, judge, parse_time  # noqa: E402

# seconds from the fault to the verdict, milliseconds from there to the delivered webhook
VERDICT_MEDIAN_S, VERDICT_MAX_S, WEBHOOK_MAX_MS = 2.5, 5.0, 300

BALANCER = ("lb:lb-www", ("down", "hung"), "page")
SERVER = ("backend:www/app1", ("down",), "ticket")


def relays(word):
    return lambda site: site.relays.command(word)


ROWS = [
    # name, hops, break, repair, what it must be called
    ("haproxy cut, refused", ("haproxy",), relays("cut"), relays("pass"), BALANCER),
    ("haproxy cut, dropped", ("haproxy",), relays("drop"), relays("pass"), BALANCER),
    ("nginx cut, refused", ("nginx",), relays("cut"), relays("pass"), BALANCER),
    ("nginx cut, dropped", ("nginx",), relays("drop"), relays("pass"), BALANCER),
    ("one server killed", ("haproxy",), lambda s: s.kill_server(0), lambda s: s.restart_server(0), SERVER),
]


def once(row, healthy_seconds):
    """(seconds to the verdict, seconds from there to the webhook, sentences about what was wrong) of a fresh site."""
    _, hops, inject, repair, (component, modes, severity) = row
    with Demo(hops=hops) as demo:
        demo.wait_proven()
        threading.Event().wait(healthy_seconds + random.random())  # a random moment of the second
        if demo.incidents():
            return None, None, [f"before: {demo.incidents()[0]['headline']}"]
        cut = time.time()
        inject(demo.site)
        verdict = webhook = None
        try:
            incident = demo.wait_incident(20)
            verdict = parse_time(incident["detected_at"]) - cut
            webhook = demo.wait_webhook(incident["id"], "opened")["at"] - parse_time(incident["detected_at"])
            demo.wait_mode(incident["id"], modes)
            repair(demo.site)
            demo.wait_resolved(incident["id"], 60)
        except TimeoutError as why:
            return verdict, webhook, [str(why)]
        return verdict, webhook, judge(demo.incidents(), component, modes, severity)


def median_and_max(values):
    return {"median": statistics.median(values), "max": max(values)} if values else None


def beyond_bounds(result):
    """Sentences about the bounds that a row passes."""
    verdict, webhook = result["verdict_s"], result["webhook_after_verdict_ms"]
    if verdict is None or webhook is None:
        return [f"{result['row']}: no verdict was delivered at all"]
    bounds = [("median to the verdict", verdict["median"], VERDICT_MEDIAN_S, "s"),
              ("maximum to the verdict", verdict["max"], VERDICT_MAX_S, "s"),
              ("maximum from there to the webhook", webhook["max"], WEBHOOK_MAX_MS, "ms")]
    return [f"{result['row']}: {what} {value:.2f} {unit}, more than {bound} {unit}"
            for what, value, bound, unit in bounds if value > bound]


def measure(row, repetitions, healthy_seconds, say):
    verdicts, webhooks, wrong, right = [], [], [], 0
    for n in range(repetitions):
        verdict, webhook, sentences = once(row, healthy_seconds)
        wrong += [f"{row[0]} {n + 1}: {sentence}" for sentence in sentences]
        right += not sentences
        if verdict is not None:
            verdicts.append(verdict)
        if webhook is not None:
            webhooks.append(1000 * webhook)
        say(f"{row[0]} {n + 1}/{repetitions}: {verdict if verdict is None else round(verdict, 2)} s")
    result = {"row": row[0], "n": repetitions, "right": right, "wrong": wrong, "verdict_s": median_and_max(verdicts),
              "webhook_after_verdict_ms": median_and_max(webhooks)}
    result["beyond"] = beyond_bounds(result)
    return result


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
                  + (f"{v['median']:>7.2f} /{v['max']:>6.2f} {w['median']:>14.0f} /{w['max']:>6.0f}" if v and w else "  no verdict")
                  + "   (median / max)")
        for r in results:
            for sentence in r["wrong"] + r["beyond"]:
                print("wrong:", sentence)
    return 0 if all(r["right"] == r["n"] and not r["beyond"] for r in results) else 1


if __name__ == "__main__":
    os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    sys.exit(main(sys.argv[1:]))
