"""Runs all tests and adds them up; called by tests/run, which has installed what they need.

Four kinds of tests, told apart by how they report:
  - programs that ctest knows (unit tests, fuzz corpora, simulations), under the presets dev and check,
  - tests/e2e/test_*.py and tests/unit/python/test_*.py, Python's unittest on real processes,
  - checks of the source itself (includes, format, clang-tidy).
A test that cannot run here (no root, no such package) prints `skip: WHY`; it is counted and named, never passed.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
STATE = ROOT / "build" / "tests-done.json"
UNIT_LINE = re.compile(r"^unit: .*: (\d+) passed, (\d+) failed$", re.M)
SKIP_LINE = re.compile(r"^\s*skip: (.*)$", re.M)
UNITTEST_RAN = re.compile(r"^Ran (\d+) tests? in", re.M)
UNITTEST_BAD = re.compile(r"^FAILED \((.*)\)$", re.M)
UNITTEST_SKIP = re.compile(r"\.\.\. skipped '(.*)'$", re.M)


class Tally:
    def __init__(self):
        self.passed = self.failed = 0
        self.skipped = []
        self.failures = []
        self.again = []  # failed beside others: (name, command, timeout, count), tried once more alone
        self.unsteady = []

    def add(self, name, passed, failed, skipped, seconds, output):
        self.passed += passed
        self.failed += failed
        self.skipped += [f"{name}: {why}" for why in skipped]
        mark = "ok  " if failed == 0 else "FAIL"
        print(f"{mark} {name}  {passed} passed{f', {failed} failed' if failed else ''}"
              f"{f', {len(skipped)} skipped' if skipped else ''}  {seconds:.1f} s", flush=True)
        if failed:
            self.failures.append(name)
            print_tail(output)


def print_tail(output):
    print("\n".join("     " + line for line in output.splitlines()[-80:]), flush=True)


def run(command, timeout, env=None):
    """(exit code, output) of a command; it and what it started are killed at the timeout."""
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               errors="replace", env={**os.environ, **(env or {})}, start_new_session=True)
    try:
        output, _ = process.communicate(timeout=timeout)
        return process.returncode, output
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        output, _ = process.communicate()
        return -9, output + f"\nkilled after {timeout} s"


def build(preset):
    print(f"build: {preset}", flush=True)
    started = time.monotonic()
    for command in (["cmake", "--preset", preset], ["cmake", "--build", "--preset", preset]):
        code, output = run(command, 1800)
        if code != 0:
            print(output[-6000:])
            return False
    print(f"build: {preset} took {time.monotonic() - started:.0f} s", flush=True)
    return True


def count_program(code, output):
    """Units where the program counts them itself, else the program is one test."""
    skipped = SKIP_LINE.findall(output)
    lines = UNIT_LINE.findall(output)
    if lines:
        passed = sum(int(p) for p, _ in lines)
        failed = sum(int(f) for _, f in lines)
        if code != 0 and failed == 0:
            failed = 1
        return max(0, passed - len(skipped)), failed, skipped
    if code != 0:
        return 0, 1, []
    return (0, 0, skipped) if skipped else (1, 0, [])


def count_unittest(code, output):
    ran = sum(int(n) for n in UNITTEST_RAN.findall(output))
    skipped = UNITTEST_SKIP.findall(output)
    failed = 0
    for words in UNITTEST_BAD.findall(output):
        failed += sum(int(n) for key, n in re.findall(r"(\w+)=(\d+)", words) if key in ("failures", "errors"))
    if code != 0 and failed == 0:
        failed = 1
    return max(0, ran - failed - len(skipped)), failed, skipped


def ctest_programs(preset):
    code, output = run(["ctest", "--test-dir", f"build/{preset}", "--show-only=json-v1"], 60)
    if code != 0:
        return []
    return [(f"{preset}/{t['name']}", t["command"]) for t in json.loads(output)["tests"] if "command" in t]


def source_check(name, timeout):
    return f"source/{name}", [sys.executable, f"tests/support/check_{name}.py"], timeout, count_program


def python_tests(options):
    for path in sorted((ROOT / "tests/unit/python").glob("test_*.py")):
        yield f"python/{path.stem}", [sys.executable, "-m", "unittest", "-v", str(path.relative_to(ROOT))], 120
    if not options.fast:
        for path in sorted((ROOT / "tests/e2e").glob("test_*.py")):
            yield f"e2e/{path.stem}", [sys.executable, "-m", "unittest", "-v", str(path.relative_to(ROOT))], \
                7200 if options.long else 420


LONGEST = ["e2e/test_demo", "e2e/test_kill", "e2e/test_networks", "e2e/test_quiet", "e2e/test_many"]


def longest_first(test):
    return LONGEST.index(test[0]) if test[0] in LONGEST else len(LONGEST)


def main():
    parser = argparse.ArgumentParser(prog="tests/run", description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", metavar="TEXT", help="only tests whose name contains TEXT")
    parser.add_argument("--fast", action="store_true", help="dev preset only, nothing that takes minutes")
    parser.add_argument("--long", action="store_true", help="larger numbers: cycles, repetitions, seeds")
    parser.add_argument("--resume", action="store_true", help="leave out what passed in the last, broken-off run")
    options = parser.parse_args()
    started = time.monotonic()
    tally = Tally()
    done = set(json.loads(STATE.read_text())) if options.resume and STATE.exists() else set()
    environment = {"FAULTLINE_LONG": "1"} if options.long else {}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT / "tests" / "support"), str(ROOT)])
    environment["PYTHONDONTWRITEBYTECODE"] = "1"

    def one(name, command, timeout, count, last=False):
        if options.only not in name or name in done:
            return
        begun = time.monotonic()
        code, output = run(command, timeout, environment)
        passed, failed, skipped = count(code, output)
        seconds = time.monotonic() - begun
        if failed and not last and not name.startswith("source/"):
            print(f"again {name}  {failed} failed  {seconds:.1f} s; tried alone at the end", flush=True)
            print_tail(output)
            tally.again.append((name, command, timeout, count))
            return
        tally.add(name, passed, failed, skipped, seconds, output)
        if failed == 0:
            done.add(name)
            STATE.parent.mkdir(exist_ok=True)
            STATE.write_text(json.dumps(sorted(done)))

    one(*source_check("includes", 60))
    one(*source_check("format", 120))
    presets = ["dev"] if options.fast else ["dev", "check"]
    for preset in presets:
        if not build(preset):
            tally.failed += 1
            tally.failures.append(f"build/{preset}")
            continue
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            list(pool.map(lambda t: one(t[0], t[1], 3600 if options.long else 300, count_program),
                          ctest_programs(preset)))
    if not options.fast and not build("release"):
        tally.failed += 1
        tally.failures.append("build/release")
    if not options.fast:
        one(*source_check("tidy", 900))  # reads what the preset check has compiled
    # They wait more than they compute: two at a time, the longest first.
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda t: one(*t, count_unittest), sorted(python_tests(options), key=longest_first)))

    for test in tally.again:
        failures = len(tally.failures)
        one(*test, last=True)
        if len(tally.failures) == failures:
            tally.unsteady.append(test[0])

    for name in tally.unsteady:
        print(f"unsteady: {name} failed beside other tests and passed alone")
    for why in tally.skipped:
        print(f"skipped: {why}")
    for name in tally.failures:
        print(f"failed: {name}")
    if not tally.failures and not options.only and STATE.exists():
        STATE.unlink()
    print(f"took {time.monotonic() - started:.0f} s")
    print(f"{tally.passed} passed, {tally.failed} failed, {len(tally.skipped)} skipped")
    return 1 if tally.failed or tally.passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
