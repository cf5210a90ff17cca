"""The benchmarks of the service, over HTTP and on loopback: `python3 benches/service [SELECTION…]`.

Wants `wrk` and `openssl`, and the release builds of the service and of the example `fixed_json`. ROUNDS and
SECONDS in the environment say how often and how long each server is driven.
"""

import argparse
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import answering
import extension
import hostile
import living
import peers
import practice
from pool import Pool
from rounds import ROUNDS, SECONDS, Row
from wrk import Failed

# Each with whether it is run where none is named.
SELECTIONS = {
    "plain": (answering.plain, True),
    "condition": (answering.condition, True),
    "worker": (answering.worker, True),
    "policies": (answering.policies, True),
    "entities": (answering.entities, False),
    "groups": (answering.groups, True),
    "token": (answering.token, True),
    "batch": (answering.batches, True),
    "peers": (peers.selection, True),
    "worst": (hostile.worst, False),
    "flood": (hostile.flood, False),
    "start": (living.start, True),
    "extension": (extension.extension, True),
    "edit": (living.edited, True),
    "reload": (living.reload, False),
    "memory": (living.memory, False),
    "tests": (living.tests, True),
    "practice": (practice.practice, False),
}


def main() -> None:
    usual = [name for name, (_, default) in SELECTIONS.items() if default]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "selections",
        nargs="*",
        metavar="SELECTION",
        help=f"of {', '.join(SELECTIONS)}; `all`; or else {', '.join(usual)}",
    )
    parser.add_argument(
        "--into",
        type=Path,
        metavar="PAGE",
        help="write the numbers into the tables of this page, which has the same rows",
    )
    arguments = parser.parse_args()
    named = arguments.selections or usual
    if named == ["all"]:
        named = [name for name in SELECTIONS if name != "practice"]
    if unknown := [name for name in named if name not in SELECTIONS]:
        parser.error(f"no selection is called `{'`, `'.join(unknown)}`: there are {', '.join(SELECTIONS)}")

    # Told to end, it ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended in the middle"))
    rows: list[tuple[str, Row]] = []
    began = time.monotonic()
    failed = []
    try:
        for name in named:
            try:
                for row in measured(name):
                    rows.append((name, row))
            except (Failed, AssertionError) as failure:
                failed.append(name)
                print(f"  {name} came to nothing: {failure}", flush=True)
    finally:
        table(rows, time.monotonic() - began)
        if arguments.into:
            write_into(arguments.into, [row for _, row in rows])
    if failed:
        sys.exit(f"came to nothing: {', '.join(failed)}")


def measured(name: str) -> Iterator[Row]:
    """The rows of a selection, in a folder of its own."""
    run = SELECTIONS[name][0]
    print(f"\n{name}: {run.__doc__}", flush=True)
    with tempfile.TemporaryDirectory(prefix="palisade-bench-") as folder:
        keys = Path(folder, "pool")
        keys.mkdir()
        for row in run(Path(folder), Pool(keys)):
            print(f"  {row.what}: {row.measured}", flush=True)
            yield row


def write_into(page: Path, rows: list[Row]) -> None:
    """Puts what was measured in the place of what stood there."""
    lines = page.read_text().splitlines()
    for row in rows:
        at = [number for number, line in enumerate(lines) if line.startswith(f"| {row.what} |")]
        if not at:
            print(f"{page} has no row `{row.what}`")
        for number in at:
            cells = lines[number].split("|")
            cells[2:4] = [f" {row.measured} ", f" {row.spread} "]
            lines[number] = "|".join(cells)
    page.write_text("\n".join(lines) + "\n")


def table(rows: list[tuple[str, Row]], seconds: float) -> None:
    """All rows once more, as Markdown."""
    machine = f"{os.cpu_count()} cores of {platform.machine()}, Linux {platform.release()}"
    print(f"\n{ROUNDS} rounds of {SECONDS} s, {seconds / 60:.0f} minutes in all, {machine}\n")
    print("| what | measured | from the least round to the most | `make bench BENCH=…` |\n|---|---|---|---|")
    for name, row in rows:
        print(f"| {row.what} | {row.measured} | {row.spread} | `{name}` |")


if __name__ == "__main__":
    main()
