"""The client's own way to ask, with a running Palisade at the other end."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from cognito import expired

ASK = Path(__file__).with_name("ask.mjs")


@pytest.fixture
def ask(palisade):
    def ask(token, questions):
        asked = json.dumps({"token": token, "questions": questions})
        environment = {"PATH": os.environ["PATH"], "PALISADE_URL": palisade.url, "PALISADE_TIMEOUT_MS": "20000"}
        node = subprocess.run(["node", ASK], input=asked, env=environment, capture_output=True, text=True, timeout=60, check=True)
        return json.loads(node.stdout)

    return ask


def question(action, id="p-1", **members):
    return {"action": action, "resource": {"type": "Product", "id": id}, **members}


def test_what_many_questions_come_to_is_what_each_comes_to(ask, palisade, pool):
    questions = [
        question("readProduct", id="p-1") | {"id": "may"},
        question("deleteProduct"),
        question("deleteProdukt"),
        question("readProduct", context={"colour": "red"}),
    ]
    answers = ask(f"Bearer {pool['bob'].access}", questions)

    may, may_not, misspelt, unknown = answers["together"]
    assert [answer["id"] for answer in answers["together"]] == ["may", "#1", "#2", "#3"]
    assert (may["outcome"], may["allowed"], may["sub"], may["reason"]) == ("allowed", True, pool["bob"].sub, "permitted")
    assert may["policies"] and may["decisionId"] and may["errors"] == []
    assert (may_not["outcome"], may_not["allowed"], may_not["reason"]) == ("denied", False, "no_permit")
    assert {may["revision"], may_not["revision"]} == {palisade.readiness()["revision"]}
    assert "unknown_action: " in misspelt["cause"] and "`deleteProduct`" in misspelt["cause"]
    assert "schema_mismatch: " in unknown["cause"]

    for together, alone in zip(answers["together"], answers["alone"], strict=True):
        for member in ("outcome", "allowed", "sub", "reason", "policies", "errors", "revision"):
            assert together.get(member) == alone.get(member)


def test_a_thousand_questions_are_one_batch(ask, palisade, pool):
    before = len(palisade.records())
    answers = ask(pool["alice"].access, [question("deleteProduct", id=f"p-{index}") for index in range(1000)])["together"]
    assert [(answer["id"], answer["outcome"]) for answer in answers] == [(f"#{index}", "allowed") for index in range(1000)]
    batches = [record for record in palisade.records()[before:] if record["outcome"] == "batch"]
    assert [record["count"] for record in batches] == [1000]


def test_a_token_that_is_not_valid_is_nobodys(ask, pool):
    answers = ask(expired(pool["alice"].access), [question("readProduct"), question("deleteProduct")])
    for answer in answers["together"] + answers["alone"]:
        assert (answer["outcome"], answer["allowed"], answer["code"]) == ("unauthenticated", False, "invalid_token")
        assert answer["challenge"].startswith('Bearer error="invalid_token"')
