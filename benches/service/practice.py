"""What `make profile` lets an instrumented program do: the release is laid out by what is done often."""

import subprocess
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import answering
import hostile
import living
from pool import Pool
from project import project
from rounds import SECONDS, Row
from server import BINARY, Palisade
from wrk import Question, drive


def practice(folder: Path, pool: Pool) -> Iterator[Row]:
    """Nothing is measured: decisions of each kind over HTTP/1.1, an edit, the checks and the tests of authors."""
    usual, owners = project(folder / "usual", pool, answering.USUAL), folder / "owners"
    project(owners, pool, answering.USUAL, owners=True)
    unknown = project(folder / "unknown", pool, answering.USUAL, settings=answering.NO_CACHE)
    new = Question("/authorize", answering.BODY, pool.tokens(["admin"], answering.TOKENS))
    denied = answering.usual(pool.token(["nobody"]))
    for below, questions in (
        (usual, [answering.usual(pool.admin), denied, answering.batch(pool.admin, 100)]),
        (owners, [answering.usual(pool.owner), answering.batch(pool.owner, 100)]),
        (unknown, [new]),
    ):
        subprocess.run([BINARY, "--config", below / "palisade.toml", "check"], check=True, capture_output=True)
        with Palisade(below) as palisade:
            for question in questions:
                drive(palisade.port, question, SECONDS)
            # As a scrape does.
            palisade.metric("palisade_decisions_total")
    # Seldom, and not to be slow for that: what was not seen at all is made small.
    large = hostile.questions(pool)["all of it"]
    with Palisade(hostile.looking(folder / "looking", pool)) as palisade:
        drive(palisade.port, large, 1, hostile.WORST_CONNECTIONS)
    for _ in chain(living.edited(folder / "edited", pool), living.tests(folder / "tested", pool)):
        pass
    yield from ()
