"""The demo: a small site, three observers, a fault, the verdict, the repair. `run` is what the end-to-end tests call
too; `show` prints it for people."""

import contextlib
import datetime
import json
import pathlib
import shutil
import sys
import tempfile
import time

from demo_site import Receiver, Site
from programs import Faultline, wait_for

HEALTHY_SECONDS = 10
OBSERVERS = {"observer1": "east", "observer2": "west", "observer3": "outside"}


def break_balancer(site, how):
    site.relays.command("cut" if how == "refuse" else "drop")


def repair_balancer(site):
    site.relays.command("pass")


def break_backend(site, _how):
    site.kill_server(0)


def repair_backend(site):
    site.restart_server(0)


# what breaks: (break, repair, the component it must be called, its modes, its severity)
FAULTS = {
    "balancer": (break_balancer, repair_balancer, "lb:lb-www", ("down", "hung"), "page"),
    "backend": (break_backend, repair_backend, "backend:www/app1", ("down",), "ticket"),
}


def parse_time(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class Demo:
    """A site with its Faultline; a context manager. `extra` is appended to the collector's config."""

    def __init__(self, bin_dir=None, hops=("haproxy",), extra="", severity="ticket", observers=None):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="faultline-demo-"))
        self.site = Site(self.directory / "site", hops=hops)
        self.faultline = Faultline(bin_dir, self.directory / "faultline")
        self.receiver = Receiver(self.directory)
        self.extra, self.severity = extra, severity
        self.observers = observers or OBSERVERS
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        try:
            self.stack.callback(shutil.rmtree, self.directory, True)
            self.stack.callback(self.faultline.stop)
            self.stack.enter_context(self.receiver)
            self.stack.enter_context(self.site)
            fl = self.faultline
            fl.config_file.write_text(self.config())
            for host in self.observers:
                fl.enroll(host)
            fl.start_collector()
            for host in self.observers:
                fl.start_agent(host)
            return self
        except BaseException:
            self.stack.close()
            raise

    def __exit__(self, *_):
        self.stack.close()

    def config(self):
        sites = ", ".join(f"{s}: {{}}" for s in sorted(set(self.observers.values())))
        hosts = ", ".join(f"{h}: {{site: {s}}}" for h, s in self.observers.items())
        return (self.faultline.collector_section() + f"sites: {{{sites}}}\nhosts: {{{hosts}}}\n" +
                self.site.service_yaml() + self.receiver.hook_yaml(self.severity) + self.extra)

    def unproven(self):
        """Paths that do not count yet; None before the engine knows any."""
        try:
            services = self.faultline.ask("status")["services"]
        except (RuntimeError, KeyError):
            return None
        paths = [p for s in services for p in s["paths"] if p["entrance"] not in ("stats", "reference", "health")]
        return [p for p in paths if p["state"] != "proven"] if paths else None

    def incidents(self):
        return self.faultline.ask("incidents")

    def wait_proven(self, seconds=60):
        wait_for("proof that every path works", lambda: self.unproven() == [], seconds, 0.25)

    def wait_incident(self, seconds, accept=lambda incident: True):
        """The first incident that accept takes."""
        return wait_for("incident", lambda: next(filter(accept, self.incidents()), None), seconds)

    def wait_mode(self, incident_id, modes, seconds=10):
        """How probes end is known two seconds later: a fault repaired before would rightly be called slow. A mode that
        never comes is for judge() to say."""
        try:
            self.wait_incident(seconds, lambda i: i["id"] == incident_id and i["mode"] in modes)
        except TimeoutError:
            pass

    def wait_resolved(self, incident_id, seconds=40):
        return wait_for(f"resolution of {incident_id}", lambda: next(
            (i for i in self.incidents() if i["id"] == incident_id and i["state"] == "resolved"), None), seconds, 0.2)

    def wait_webhook(self, incident_id, step, seconds=20):
        return wait_for(f"webhook of {incident_id} {step}", lambda: next(
            (w for w in self.receiver.received() if w["event"]["subject"] == incident_id
             and w["event"]["type"].endswith(step)), None), seconds)


def judge(incidents, component, modes, severity):
    """Sentences about what is wrong with these incidents; none if the only one is right and certain."""
    wrong = []
    right = [i for i in incidents if i["component"] == component]
    for incident in incidents:
        if incident not in right:
            wrong.append(f"{incident['component']} {incident['mode']} was opened although nothing of it was broken")
    if len(right) != 1:
        wrong.append(f"{component} was opened {len(right)} times instead of once")
    for incident in right:
        if incident["mode"] not in modes:
            wrong.append(f"{component} was called {incident['mode']}, not {' or '.join(modes)}")
        if incident["confidence"] != "high":
            wrong.append(f"{component} was said with confidence {incident['confidence']}, not high")
        if incident["severity"] != severity:
            wrong.append(f"{component} was a {incident['severity']}, not a {severity}")
        if not incident["headline"].startswith(f"{incident['component']} {incident['mode']}"):
            wrong.append(f"the headline does not begin with component and mode: {incident['headline']}")
    return wrong


def run(fault="balancer", how="refuse", hops=("haproxy",), bin_dir=None, say=lambda text: None,
        healthy_seconds=HEALTHY_SECONDS, report=True):
    """One fault from the healthy site to the resolution. Returns the object that --json prints, plus `wrong`."""
    inject, repair, component, modes, severity = FAULTS[fault]
    with Demo(bin_dir, hops) as demo:
        names = ", ".join(demo.site.names)
        say(f"a site of its own: {' -> '.join(demo.site.hops)} at {demo.site.url} in front of {names}; "
            f"{len(demo.observers)} observers, one webhook")
        say("every path must prove itself with 30 good probes before it counts …")
        demo.wait_proven()
        say(f"all paths proven; {healthy_seconds:.0f} healthy seconds …")
        quiet_until = time.monotonic() + healthy_seconds
        wait_for("end of the healthy seconds", lambda: time.monotonic() > quiet_until or demo.incidents(),
                 healthy_seconds + 10, 0.25)
        if demo.incidents():
            return {"incidents": demo.incidents(), "seconds_to_verdict": None, "seconds_to_webhook": None,
                    "wrong": ["an incident was opened while the site was healthy"]}
        say({"balancer": f"CUT: the balancer's way to each server ({how}); the servers themselves stay healthy",
             "backend": "KILLED: server app1"}[fault])
        cut = time.time()
        inject(demo.site, how)
        incident = demo.wait_incident(20)
        verdict = parse_time(incident["detected_at"]) - cut
        say(f"after {verdict:.2f} s: {incident['headline']}")
        for fact in incident["evidence"]:
            say(f"    {fact['text']}")
        hook = demo.wait_webhook(incident["id"], "opened")
        webhook = hook["at"] - cut
        say(f"after {webhook:.2f} s: webhook delivered, signature verified, id {hook['id']}")
        demo.wait_mode(incident["id"], modes)
        repair(demo.site)
        say("repaired; waiting for the site to be clean …")
        resolved = demo.wait_resolved(incident["id"])
        say(f"{resolved['id']} resolved at {resolved['resolved_at']}")
        demo.wait_webhook(incident["id"], "resolved")
        if report:
            say("")
            say(demo.faultline.cli("report", incident["id"])[1].rstrip())
            say("")
        incidents = demo.incidents()
        return {"incidents": incidents, "seconds_to_verdict": round(verdict, 3),
                "seconds_to_webhook": round(webhook, 3), "wrong": judge(incidents, component, modes, severity)}


def show(options):
    out = sys.stderr if options.json else sys.stdout

    def say(text):
        print(text, file=out, flush=True)

    started = time.monotonic()
    try:
        result = run(options.fault, options.how, (options.balancer,), say=say)
    except (TimeoutError, RuntimeError, OSError) as why:
        say(f"demo: {why}")
        result = {"incidents": [], "seconds_to_verdict": None, "seconds_to_webhook": None, "wrong": [str(why)]}
    wrong = result.pop("wrong")
    for sentence in wrong:
        say(f"wrong: {sentence}")
    if not wrong:
        say(f"the verdict was right and nothing else opened: {result['seconds_to_verdict']:.2f} s to the verdict, "
            f"{result['seconds_to_webhook']:.2f} s to the webhook; {time.monotonic() - started:.0f} s in all")
    if options.json:
        print(json.dumps(result), flush=True)
    return 1 if wrong else 0
