"""What is measured while requests are answered: against fixed JSON, and against itself at other sizes."""

import json
import statistics
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from pool import USER, Pool
from project import project
from rounds import Contestant, Rounds, Row, cpu, decisions, figure, microseconds, p99, rate
from server import Palisade, fixed_json
from wrk import Question

USUAL = 100
SIZES = (10, 1_000, 100_000)
ENTITIES = 1_000_000
GROUPS = 100
ITEMS = (1, 10, 100, 1_000)

# The cache holds a part in a hundred of them at most, so that each is verified anew.
TOKENS = 2_000
NO_CACHE = "[limits]\ntoken_cache = 65536"
# Microseconds that a verification of RS256 takes at least, on any machine.
A_SIGNATURE = 5

PRODUCT = {
    "type": "Product",
    "id": "p-{id}",
    "attributes": {"status": "draft", "owner": {"type": "User", "id": USER}},
    "parents": [{"type": "Category", "id": "toys"}],
}
CONTEXT = {"ip": "{ip}"}
BODY = json.dumps({"action": "updateProduct", "resource": PRODUCT, "context": CONTEXT})


def usual(token: str) -> Question:
    return Question("/authorize", BODY, [token])


def named(action: str, token: str) -> Question:
    """About a product by nothing but its name: it is stored, or nothing is known of it."""
    body = json.dumps({"action": action, "resource": {"type": "Product", "id": "p-{id}"}, "context": CONTEXT})
    # All but two of the stored entities are products.
    return Question("/authorize", body, [token], ids=ENTITIES - 2)


def batch(token: str, items: int) -> Question:
    """What a list of products asks: the same action on each, in one context."""
    body = json.dumps(
        {
            "requests": [{"action": "updateProduct", "resource": PRODUCT}] * items,
            "context": CONTEXT,
        }
    )
    return Question("/authorize/batch", body, [token], decisions=items)


def against_fixed(
    folder: Path, question: Question, shows: Callable[[Rounds], Iterator[Row]], workers: int | None = None
) -> Iterator[Row]:
    """A project against the ceiling."""
    with Palisade(folder, workers=workers) as palisade, fixed_json(workers) as fixed:
        decided = palisade.metric("palisade_decisions_total")
        rounds = Rounds(Contestant("palisade", palisade, question), Contestant("fixed JSON", fixed, question))
        decided = palisade.metric("palisade_decisions_total") - decided
        rounds.show()
        yield from shows(rounds)
        asked = sum(sample.load.requests for sample in rounds.samples["palisade"])
        # wrk does not count what is under way when it stops.
        assert asked <= decided <= asked * 1.02 + 1_000, f"{decided} decisions for {asked} requests"


def both(what: str, rounds: Rounds) -> Iterator[Row]:
    yield rounds.ratio(f"requests/s against fixed JSON, {what}", "palisade", "fixed JSON", rate)
    yield rounds.ratio(f"server CPU per request against it, {what}", "palisade", "fixed JSON", cpu)


def plain(folder: Path, pool: Pool) -> Iterator[Row]:
    """100 policies, no candidate has a condition."""
    what = "no candidate with a condition"
    yield from against_fixed(project(folder, pool, USUAL), usual(pool.admin), partial(both, what))


def condition(folder: Path, pool: Pool) -> Iterator[Row]:
    """100 policies, and every request evaluates one condition."""
    what = "one condition evaluated"
    project(folder, pool, USUAL, owners=True)
    yield from against_fixed(folder, usual(pool.owner), partial(both, what))


def worker(folder: Path, pool: Pool) -> Iterator[Row]:
    """Both with one worker thread: with two, p99 measures the scheduler."""
    what = "one worker thread"

    def shows(rounds: Rounds) -> Iterator[Row]:
        yield rounds.ratio(f"p99 against fixed JSON, {what}", "palisade", "fixed JSON", p99)
        yield rounds.ratio(f"requests/s against fixed JSON, {what}", "palisade", "fixed JSON", rate)

    yield from against_fixed(project(folder, pool, USUAL), usual(pool.admin), shows, workers=1)


def token(folder: Path, pool: Pool) -> Iterator[Row]:
    """A token that is new in each request, beside one that is known."""
    new = Question("/authorize", BODY, pool.tokens(["admin"], TOKENS))
    project(folder / "known", pool, USUAL)
    project(folder / "new", pool, USUAL, settings=NO_CACHE)
    name = "a new token each time"
    with Palisade(folder / "known") as known, Palisade(folder / "new") as verifying, fixed_json() as fixed:
        rounds = Rounds(
            Contestant("a known token", known, usual(pool.admin)),
            Contestant(name, verifying, new),
            Contestant("fixed JSON", fixed, new),
        )
    rounds.show()
    yield rounds.ratio(f"requests/s against fixed JSON, {name}", name, "fixed JSON", rate)
    pairs = zip(rounds.samples[name], rounds.samples["a known token"], strict=True)
    spent = [verified.cpu - remembered.cpu for verified, remembered in pairs]
    # There is no cheaper way to have verified them.
    assert statistics.median(spent) > A_SIGNATURE, "most of the tokens were known"
    yield figure("server CPU of verifying a token", spent, microseconds)


def policies(folder: Path, pool: Pool) -> Iterator[Row]:
    """The same request at 10, 1,000 and 100,000 policies."""
    with ExitStack() as servers:
        contestants = [
            Contestant(
                f"{size:,} policies",
                servers.enter_context(Palisade(project(folder / str(size), pool, size))),
                usual(pool.admin),
            )
            for size in SIZES
        ]
        rounds = Rounds(*contestants)
    rounds.show()
    least, *larger = (each.name for each in contestants)
    for name in larger:
        yield rounds.ratio(f"requests/s at {name} against {least}", name, least, rate)
        yield rounds.ratio(f"server CPU per request at {name} against {least}", name, least, cpu)


def entities(folder: Path, pool: Pool) -> Iterator[Row]:
    """A product that is stored among 1,000,000, against one of which nothing is known, or the request tells it."""
    reads, updates, told = (
        named("readProduct", pool.owner),
        named("updateProduct", pool.owner),
        usual(pool.owner),
    )
    stored_folder = project(folder / "stored", pool, USUAL, owners=True, entities=ENTITIES)
    with (
        Palisade(stored_folder) as stored,
        Palisade(project(folder / "none", pool, USUAL, owners=True)) as none,
    ):
        rounds = Rounds(
            Contestant("none, scopes only", none, reads),
            Contestant("1,000,000 entities, scopes only", stored, reads),
            Contestant("none, the owner is told", none, told),
            Contestant("1,000,000 entities, the owner is stored", stored, updates),
        )
        memory, seconds = stored.resident(), stored.seconds_to_ready
    rounds.show()
    yield rounds.ratio(
        "requests/s with 1,000,000 entities against none, scopes only",
        "1,000,000 entities, scopes only",
        "none, scopes only",
        rate,
    )
    yield rounds.ratio(
        "the same, a condition reads the stored owner",
        "1,000,000 entities, the owner is stored",
        "none, the owner is told",
        rate,
    )
    yield Row("start to ready, and resident, with 1,000,000 entities", f"{seconds:.1f} s, {memory:,.0f} MiB")


def groups(folder: Path, pool: Pool) -> Iterator[Row]:
    """A token with 100 groups against one with one; policies speak of some of them."""
    many = pool.token(["admin", *(f"team-{number}" for number in range(GROUPS - 1))])
    with Palisade(project(folder, pool, USUAL)) as palisade:
        rounds = Rounds(
            Contestant("1 group", palisade, usual(pool.admin)),
            Contestant("100 groups", palisade, usual(many)),
        )
    rounds.show()
    yield rounds.ratio("requests/s with 100 groups against 1", "100 groups", "1 group", rate)


def batches(folder: Path, pool: Pool) -> Iterator[Row]:
    """Batches of 1 to 1,000 items against single requests."""
    with Palisade(project(folder, pool, USUAL)) as palisade:
        single = Contestant("single requests", palisade, usual(pool.admin))
        rounds = Rounds(
            single,
            *(Contestant(f"batches of {items:,}", palisade, batch(pool.admin, items)) for items in ITEMS),
        )
    rounds.show()
    for items in ITEMS:
        what = f"decisions/s in batches of {items:,} against single requests"
        yield rounds.ratio(what, f"batches of {items:,}", single.name, decisions)
