#!/usr/bin/env python3
"""The instructions of one decision, against those on record: what a change has made slower shows here, on
any machine and however busy it is.

    make instructions      (wants valgrind; builds as `make release` does)
    make instructions RECORD=1      writes what it counts into benches/instructions.json

Starting, compiling the policies and ending cost instructions too, so two runs that differ in nothing but the
number of decisions are counted, and the difference is what counts: of so many that the rest is lost in them.
"""
import json
import os
import pathlib
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

ROOT = pathlib.Path(__file__).resolve().parent.parent
ON_RECORD = ROOT / "benches/instructions.json"
PROGRAM = ROOT / "target/release/examples/decisions"
FEW, MANY = 1_000, 51_000
POLICIES = (10, 10_000)
# Hashes are seeded anew in every run, so tables are probed otherwise, and compiling takes more or less.
TOLERATED = 1.10


def instructions(candidate: str, policies: int, decisions: int) -> int:
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", PROGRAM, candidate, str(policies), str(decisions)]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(re.search(r"Collected : (\d+)", run.stderr).group(1))


def one_decision(candidate: str, policies: int) -> int:
    return round((instructions(candidate, policies, MANY) - instructions(candidate, policies, FEW)) / (MANY - FEW))


def all_counted() -> dict[str, int]:
    """Side by side: a program's instructions are the same whatever runs beside it."""
    asked = [(candidate, policies) for candidate in ("scope", "condition") for policies in POLICIES]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        counts = pool.map(lambda one: one_decision(*one), asked)
        return {f"{candidate}, {policies} policies": count for (candidate, policies), count in zip(asked, counts)}


def main() -> None:
    counted = all_counted()
    if "--record" in sys.argv:
        ON_RECORD.write_text(json.dumps(counted, indent=2) + "\n")
    on_record = json.loads(ON_RECORD.read_text())
    slower = False
    for name, now in counted.items():
        ratio = now / on_record[name]
        slower |= ratio > TOLERATED
        print(f"{name:<26} {now:>7} instructions, {on_record[name]:>7} on record: {ratio:.2f}")
    if slower:
        sys.exit(
            "a decision takes more instructions than it did: mend it, or record it and say why; "
            "where dependencies, Rust or much of the code have changed, `make profile` comes first"
        )


if __name__ == "__main__":
    main()
