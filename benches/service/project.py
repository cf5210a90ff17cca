"""Projects for the service: the shop's schema and policies, grown to any size, in a folder of their own."""

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from pool import CLIENT, ISSUER, USER, Pool
from rules import OWNERS, more
from server import ROOT

T = TypeVar("T")

# What a folder of policies has per file.
A_FILE = 100
# The shop's own policies.
SHOPS = 5
# Stored entities and links of one file: 1 MiB is what a file may have.
ENTITIES_A_FILE, LINKS_A_FILE = 4_000, 4_000

# The first line of a file that was edited.
EDITED = "// Edit "

TEMPLATE = """
@id("editor-of-a-category")
permit (
  principal == ?principal,
  action in [Shop::Action::"manageProducts"],
  resource in ?resource
);
"""


def project(
    folder: Path,
    pool: Pool,
    policies: int = SHOPS,
    *,
    owners: bool = False,
    entities: int = 0,
    schema: Path = ROOT / "schema",
    settings: str = "",
) -> Path:
    """The shop with so many policies, `owners` among them where asked for, and so many stored entities."""
    shutil.copytree(ROOT / "policies", folder / "policies")
    shops = SHOPS
    if owners:
        (folder / "policies/owners.cedar").write_text(OWNERS)
        shops += 1
    for number, rules in enumerate(in_files(list(more(policies, shops)), A_FILE)):
        rules_file(folder, number).write_text("".join(rule.cedar() for rule in rules))
    if entities:
        store(folder / "entities", entities)
    written(folder, pool, schema, settings, bool(entities))
    return folder


def written(folder: Path, pool: Pool, schema: Path, settings: str, has_entities: bool = False) -> None:
    """The settings; decisions are on record in a file before they are answered."""
    (folder / "palisade.toml").write_text(f"""
namespace = "Shop"
[policies]
dir = "policies"
schema = "{schema}"
{'entities = "entities"' if has_entities else ""}
[audit]
sink = "file"
path = "decisions.jsonl"
durability = "written"
[[issuers]]
issuer = "{ISSUER}"
client_ids = ["{CLIENT}"]
token_use = ["access"]
jwks_file = "{pool.jwks}"
{settings}
""")


def rules_file(folder: Path, number: int) -> Path:
    return folder / f"policies/grown-{number:04}.cedar"


def edit(path: Path, time: int) -> None:
    """Another text of one of the files, put in its place at once; what it decides is the same."""
    text = path.read_text()
    if text.startswith(EDITED):
        _, text = text.split("\n", 1)
    beside = path.with_name(".beside")
    beside.write_text(f"{EDITED}{time}\n{text}")
    beside.rename(path)


def linked(folder: Path, pool: Pool, links: int) -> Path:
    """The shop, and so many users who edit a category each, by links of one template."""
    project(folder, pool)
    (folder / "policies/editors.cedar").write_text(TEMPLATE)
    for number, file in enumerate(in_files(range(links), LINKS_A_FILE)):
        below = folder / f"policies/editors-{number:03}"
        below.mkdir()
        (below / "links.json").write_text(
            json.dumps(
                [
                    {
                        "template_id": "editor-of-a-category",
                        "link_id": f"editor-{n}",
                        "args": {
                            "?principal": f'Shop::User::"u-{n}"',
                            "?resource": f'Shop::Category::"c-{n}"',
                        },
                    }
                    for n in file
                ]
            )
        )
    return folder


def store(folder: Path, count: int) -> None:
    """Products of the benchmark's user, in one category of the catalog."""
    folder.mkdir()
    places = [
        {"uid": {"type": "Shop::Catalog", "id": "shop"}, "attrs": {}, "parents": []},
        {
            "uid": {"type": "Shop::Category", "id": "toys"},
            "attrs": {},
            "parents": [{"type": "Shop::Catalog", "id": "shop"}],
        },
    ]
    (folder / "places.json").write_text(json.dumps(places))
    product = json.dumps(
        {
            "uid": {"type": "Shop::Product", "id": "NUMBER"},
            "attrs": {"status": "draft", "owner": {"__entity": {"type": "Shop::User", "id": USER}}},
            "parents": [{"type": "Shop::Category", "id": "toys"}],
        }
    )
    for number, file in enumerate(in_files(range(count - len(places)), ENTITIES_A_FILE)):
        text = ",\n".join(product.replace("NUMBER", f"p-{n:08}") for n in file)
        (folder / f"products-{number:03}.json").write_text(f"[{text}]")


def in_files(things: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (things[at : at + size] for at in range(0, len(things), size))
