"""What is measured of a life: the start, edits, memory, and the program's other verbs."""

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

from answering import usual
from pool import Pool
from project import A_FILE, SHOPS, edit, linked, project, rules_file
from rounds import ROUNDS, SECONDS, Row, figure, mebibytes, milliseconds, number
from server import BINARY, Palisade, answer, asking
from wrk import Failed, Load, Question, drive, steady

RELOADS = number("RELOADS", 100)
MEMORY_SIZES = (SHOPS, 10_000, 100_000)

# Between edits under load: one is in force before the next comes.
BETWEEN_EDITS = 1.5

TESTS, TESTED_POLICIES = 10_000, 1_000
TESTS_A_FILE = 500

LONGEST_RELOAD = 60


def start(folder: Path, pool: Pool) -> Iterator[Row]:
    """From the start of the process to the first 200 of /readyz."""
    for name, ready in (
        ("the shop", project(folder / "shop", pool)),
        ("100,000 policies", project(folder / "static", pool, 100_000)),
        ("100,000 links", linked(folder / "links", pool, 100_000)),
    ):
        seconds = []
        for _ in range(ROUNDS):
            with Palisade(ready) as palisade:
                seconds.append(palisade.seconds_to_ready * 1000)
                most = palisade.resident(at_most=True)
        yield figure(f"start to ready, {name}", seconds, milliseconds)
        yield Row(f"resident at most until then, {name}", mebibytes(most))


def edited(folder: Path, pool: Pool) -> Iterator[Row]:
    """One edited file of 1,000, with 100 policies each: from the rename to the first answer under the new revision."""
    project(folder, pool, 100_000)
    with Palisade(folder) as palisade:
        seconds = [until_live(palisade, folder, usual(pool.admin), number) * 1000 for number in range(ROUNDS)]
        yield figure("one edited file of 1,000 is live after", seconds, milliseconds)
        yield Row(
            "resident after these edits, and at most",
            f"{palisade.settled():,.0f} MiB, {palisade.resident(at_most=True):,.0f} MiB",
        )


def until_live(palisade: Palisade, folder: Path, question: Question, number: int) -> float:
    """Edits one of the files, and asks until an answer names another revision."""
    path = rules_file(folder, number % A_FILE)
    if not path.exists():
        path = folder / "policies/product.cedar"
    with asking(palisade.port) as connection:
        before, began = revision(connection, question), time.monotonic()
        edit(path, number)
        while revision(connection, question) == before:
            if time.monotonic() - began > LONGEST_RELOAD:
                raise Failed("an edit did not go live")
            time.sleep(0.002)
        return time.monotonic() - began


def revision(connection: HTTPConnection, question: Question) -> str:
    """The one that answers."""
    return str(json.loads(answer(connection, question))["revision"])


def reload(folder: Path, pool: Pool) -> Iterator[Row]:
    """The slowest request of a steady load, with and without reloads of 10,000 policies meanwhile."""
    project(folder, pool, 10_000)
    calm: list[Load] = []
    reloading: list[Load] = []
    with Palisade(folder) as palisade:
        seconds = max(SECONDS, 5)
        for _ in range(ROUNDS):
            calm.append(steady(palisade.port, usual(pool.admin), seconds))
            before = palisade.metric("palisade_reloads_total")
            with editing(folder):
                reloading.append(steady(palisade.port, usual(pool.admin), seconds))
            assert palisade.metric("palisade_reloads_total") > before, "nothing was reloaded"
    yield figure("slowest request under load", [load.slowest for load in calm], milliseconds)
    yield figure(
        "the same while 10,000 policies are reloaded again and again",
        [load.slowest for load in reloading],
        milliseconds,
    )
    yield figure("p99 of the same, without", [load.p99 for load in calm], milliseconds)
    yield figure("p99 of the same, with reloads", [load.p99 for load in reloading], milliseconds)


@contextmanager
def editing(folder: Path) -> Iterator[None]:
    """One file after the other is edited meanwhile."""
    ended = threading.Event()

    def run() -> None:
        number = 0
        while not ended.wait(BETWEEN_EDITS):
            number += 1
            edit(rules_file(folder, number), time.monotonic_ns())

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def memory(folder: Path, pool: Pool) -> Iterator[Row]:
    """Resident memory after a load, and after so many reloads more."""
    for size in MEMORY_SIZES:
        name = "the shop" if size == SHOPS else f"{size:,} policies"
        below = project(folder / str(size), pool, size)
        with Palisade(below) as palisade:
            idle = palisade.settled()
            drive(palisade.port, usual(pool.admin), SECONDS)
            before = palisade.settled()
            for number in range(RELOADS):
                until_live(palisade, below, usual(pool.admin), number)
            drive(palisade.port, usual(pool.admin), SECONDS)
            after = palisade.settled()
            yield Row(f"resident, idle, {name}", mebibytes(idle))
            yield Row(
                f"after requests, and after {RELOADS} reloads, {name}", f"{before:,.0f} MiB, {after:,.0f} MiB"
            )
            yield Row(f"at most meanwhile, {name}", mebibytes(palisade.resident(at_most=True)))
        shutil.rmtree(below)


def tests(folder: Path, pool: Pool) -> Iterator[Row]:
    """`palisade test`: 10,000 policy tests over 1,000 policies."""
    project(folder, pool, TESTED_POLICIES)
    below = folder / "tests/policies"
    below.mkdir(parents=True)
    for file in range(TESTS // TESTS_A_FILE):
        (below / f"grown-{file:02}.test.yaml").write_text(a_test_file(file))
    seconds = []
    for _ in range(ROUNDS):
        began = time.monotonic()
        run = subprocess.run(
            [BINARY, "--config", folder / "palisade.toml", "test", below],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        seconds.append((time.monotonic() - began) * 1000)
        if run.returncode or f"{TESTS}" not in run.stdout.replace(",", ""):
            raise Failed(f"the policy tests did not pass:\n{run.stdout[-2000:]}{run.stderr[-2000:]}")
    yield figure(f"{TESTS:,} policy tests over {TESTED_POLICIES:,} policies", seconds, milliseconds)


def a_test_file(file: int) -> str:
    """Tests of one question each: a member of a team in that team's category, and in another."""
    lines = ["principals:"]
    lines += [f"  member-{n}: {{ groups: [team-{n}] }}" for n in range(0, 100, 10)]
    lines += ["resources:"]
    lines += [
        f"  product-{n}: {{ type: Product, id: p-{n}, attributes: {{ status: draft }}, "
        f"parents: [{{ type: Category, id: c-{n} }}] }}"
        for n in range(0, 100, 10)
    ]
    lines += ["tests:"]
    for number in range(TESTS_A_FILE):
        member, product = number % 10 * 10, number // 10 % 10 * 10
        lines += [
            f"  - name: test {file}-{number}",
            f"    principals: [member-{member}]",
            "    actions: [updateProduct]",
            f"    resources: [product-{product}]",
            f"    expect: {'allow' if member == product else 'deny'}",
        ]
    return "\n".join(lines) + "\n"
