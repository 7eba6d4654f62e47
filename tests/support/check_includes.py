"""The direction of includes: agent, collector -> proto -> common; agent and collector never meet; generated headers
only in proto and its tests; nothing includes a main; every include of ours is written from the root and exists."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
ALLOWED = {
    "common": {"common"},
    "proto": {"proto", "common"},
    "agent": {"agent", "proto", "common"},
    "collector": {"collector", "proto", "common"},
    "tests": {"tests", "agent", "collector", "proto", "common"},
    "deploy": {"common"},
}
# Who else may see the generated headers: tests that build what the encoder refuses to build, and what they cost.
GENERATED_TOO = ("tests/unit/proto/", "tests/bench/bench_wire.c")
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')


def problems():
    for folder, allowed in ALLOWED.items():
        for path in sorted((ROOT / folder).rglob("*.[ch]")):
            name = path.relative_to(ROOT).as_posix()
            for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
                match = INCLUDE.match(line)
                if not match:
                    continue
                target = match.group(1)
                top = target.split("/")[0]
                if target.endswith(".pb-c.h"):
                    if folder != "proto" and not name.startswith(GENERATED_TOO):
                        yield f"{name}:{number}: the generated {target} belongs to proto alone"
                elif "/" not in target or not (ROOT / target).exists():
                    yield f"{name}:{number}: {target} is not a file named from the root"
                elif top not in allowed:
                    yield f"{name}:{number}: {folder} may not include {top} ({target})"
                elif target.endswith("main.h") or target.endswith("main.c"):
                    yield f"{name}:{number}: nothing includes a main"


def main():
    found = list(problems())
    print("\n".join(found) if found else "includes run one way")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
