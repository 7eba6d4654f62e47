"""clang-tidy finds nothing in our sources (checks: .clang-tidy). What has not changed since it was last clean is not
read again: the key is the hash of the file, of all headers and of the checks."""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "check"
CACHE = BUILD / "tidy-clean.json"


def main():
    if shutil.which("clang-tidy") is None:
        print("skip: clang-tidy is not installed")
        return 0
    if not (BUILD / "compile_commands.json").exists():
        print("no compile_commands.json: build the preset check first")
        return 1
    ours = [ROOT / folder for folder in ("agent", "collector", "common", "proto")]
    entries = json.loads((BUILD / "compile_commands.json").read_text())
    files = sorted({e["file"] for e in entries if any(str(o) + "/" in e["file"] for o in ours)
                    and not e["file"].startswith(str(ROOT / "build"))})
    common = hashlib.sha256((ROOT / ".clang-tidy").read_bytes())
    for header in sorted(p for o in ours for p in o.rglob("*.h")):
        common.update(header.read_bytes())
    clean = json.loads(CACHE.read_text()) if CACHE.exists() else {}

    def key(name):
        return hashlib.sha256(common.digest() + pathlib.Path(name).read_bytes()).hexdigest()

    def check(name):
        if clean.get(name) == key(name):
            return name, 0, ""
        result = subprocess.run(["clang-tidy", "--quiet", "-p", str(BUILD), name], capture_output=True, text=True)
        return name, result.returncode, result.stdout

    bad = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for name, code, output in pool.map(check, files):
            if code != 0:
                bad += 1
                print(output)
            else:
                clean[name] = key(name)
    CACHE.write_text(json.dumps(clean))
    print(f"{len(files)} files, {bad} with findings")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
