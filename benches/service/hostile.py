"""What hostile requests cost: the worst that is legal, and a flood of tokens that are not."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from answering import USUAL, usual
from pool import Pool, with_forged_signature
from project import project, written
from rounds import ROUNDS, SECONDS, Contestant, Rounds, Row, cpu, figure, milliseconds, times
from server import Palisade
from wrk import Load, Question, Wrk, steady

# As large as the limits are by default: see `[limits]` in README.md.
GROUPS = 1_000
SET = 1_000
STRING = 16 * 1024
ANCESTRY = 32
ENTITIES = 256

# One of them takes milliseconds: more at once would only wait for each other.
WORST_CONNECTIONS = 4
# So that some of them are answered on a slow machine too.
LEAST_SECONDS = 3

SCHEMA = """
namespace Shop {
    entity Group in [Group];
    entity User in [Group] = { groups: Set<String> };
    entity Category in [Category] = { label?: String };
    entity Product in [Category] = { tags?: Set<String>, label?: String, related?: Set<Category>, next?: Category };
    action updateProduct appliesTo {
        principal: [User], resource: [Product], context: { tags?: Set<String>, label?: String },
    };
}
"""

# What authors write who look at everything that a request can tell; five of each.
CONDITIONS = (
    # Not one of the ancestors.
    'resource in Shop::Category::"elsewhere-{n}"',
    'principal in Shop::Group::"elsewhere-{n}" || principal in [Shop::Group::"g-{n}", Shop::Group::"none-{n}"]',
    "context has tags && principal.groups.containsAll(context.tags)",
    "context has tags && resource has tags && resource.tags.containsAll(context.tags)",
    "resource has related && resource in resource.related",
    f'context has label && context.label like "*{"a" * 32}b*"',
    f'resource has label && resource.label like "*{"a" * 32}c*" || resource has next && resource.next has label',
)
OF_EACH = 5

# As many as the usual load has.
FLOOD_CONNECTIONS = 64


def worst(folder: Path, pool: Pool) -> Iterator[Row]:
    """Requests as large as the limits allow, under policies that look at all of it."""
    parts = questions(pool)
    with Palisade(looking(folder, pool)) as palisade:
        rounds = Rounds(
            *(Contestant(name, palisade, question) for name, question in parts.items()),
            connections=WORST_CONNECTIONS,
            seconds=max(SECONDS, LEAST_SECONDS),
        )
    rounds.show()
    for name in list(parts)[1:]:
        spent = [sample.cpu / 1000 for sample in rounds.samples[name]]
        yield figure(
            f"server CPU of a request with {name}, under {OF_EACH * len(CONDITIONS)} policies that look at it",
            spent,
            milliseconds,
        )
    yield rounds.ratio(
        "server CPU of the worst legal request against a small one", "all of it", "a small request", cpu
    )


def looking(folder: Path, pool: Pool) -> Path:
    """A project of those policies."""
    (folder / "policies").mkdir(parents=True)
    (folder / "policies/looking.cedar").write_text(
        "".join(
            f"permit (principal, action, resource) when {{ {condition.replace('{n}', str(n))} }};\n"
            for n in range(OF_EACH)
            for condition in CONDITIONS
        )
    )
    (folder / "schema").mkdir()
    (folder / "schema/hostile.cedarschema").write_text(SCHEMA)
    written(folder, pool, folder / "schema", "")
    return folder


def questions(pool: Pool) -> dict[str, Question]:
    """What is small about a request or as large as may be, by name; the last is all of it."""
    many = pool.token([f"g-{number:04}" for number in range(GROUPS)])
    return {
        "a small request": question(pool.admin),
        "1,000 groups": question(many),
        "256 entities, 32 generations": question(pool.admin, entities=True),
        "two sets of 1,000": question(pool.admin, sets=True),
        "two strings of 16 KiB": question(pool.admin, strings=True),
        "all of it": question(many, entities=True, sets=True, strings=True),
    }


def question(token: str, entities: bool = False, sets: bool = False, strings: bool = False) -> Question:
    """About a product with as much to it as asked for."""
    width = ENTITIES // ANCESTRY
    layers: list[list[dict[str, Any]]] = [
        [{"type": "Category", "id": f"{layer}-{number}"} for number in range(width)]
        for layer in range(ANCESTRY)
    ]
    resource: dict[str, Any] = {"type": "Product", "id": "p-{id}", "attributes": {}}
    body: dict[str, Any] = {"action": "updateProduct", "resource": resource, "context": {}}
    if entities:
        # Each stands in all of the next two generations; the last is named by the others only.
        body["entities"] = [
            uid | {"parents": [each for above in layers[layer + 1 : layer + 3] for each in above]}
            for layer, uids in enumerate(layers[:-1])
            for uid in uids
        ]
        resource["parents"] = layers[0]
        resource["attributes"] |= {"related": layers[-1], "next": layers[0][0]}
    if sets:
        # Nearly all of the groups, and then one that is none.
        tags = [f"g-{number:04}" for number in range(SET - 1)] + ["none"]
        body["context"]["tags"] = tags
        resource["attributes"]["tags"] = tags[:-1] + ["some"]
    if strings:
        body["context"]["label"] = resource["attributes"]["label"] = "a" * STRING
    return Question("/authorize", json.dumps(body), [token])


def flood(folder: Path, pool: Pool) -> Iterator[Row]:
    """A steady client with a good token: alone, beside good requests, and beside as many forged tokens."""
    bad = Question(
        "/authorize",
        usual(pool.admin).body,
        [""],
        header=f"Authorization: Bearer {with_forged_signature(pool.admin)}\r\n",
    )
    with Palisade(project(folder, pool, USUAL)) as palisade:
        alone: list[Load] = []
        beside_good: list[Load] = []
        beside_bad: list[Load] = []
        refused: list[Load] = []
        for _ in range(ROUNDS):
            alone.append(steady(palisade.port, usual(pool.owner), SECONDS))
            for question, kept in ((usual(pool.admin), beside_good), (bad, beside_bad)):
                others = Wrk(palisade.port, question, SECONDS + 1, FLOOD_CONNECTIONS)
                kept.append(steady(palisade.port, usual(pool.owner), SECONDS))
                refused.append(others.load(may_refuse=True))
        after = steady(palisade.port, usual(pool.owner), SECONDS)
        failures = palisade.metric("palisade_token_failures_total")
        memory = palisade.resident()
    forged = [load for load in refused if load.refused]
    assert len(forged) == ROUNDS and failures >= sum(load.refused for load in forged), (
        "not every forged token was refused"
    )
    yield figure(
        "forged tokens refused each second", [load.rate for load in forged], lambda value: f"{value:,.0f}"
    )
    for name, loads in (("good requests", beside_good), ("forged tokens", beside_bad)):
        yield against(f"a steady client's requests/s beside {name}, against alone", loads, alone)
    for name, loads in (
        ("alone", alone),
        ("beside good requests", beside_good),
        ("beside forged tokens", beside_bad),
    ):
        yield figure(f"a steady client's p99, {name}", [load.p99 for load in loads], milliseconds)
    yield Row(
        "the same alone after the floods, and resident then", f"{milliseconds(after.p99)}, {memory:,.0f} MiB"
    )


def against(what: str, loads: list[Load], others: list[Load]) -> Row:
    return figure(what, [load.rate / other.rate for load, other in zip(loads, others, strict=True)], times)
