"""The client's own way to ask, with a running Palisade at the other end."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from cognito import expired
from functions import Node
from gateway import Call, http_event

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


class TestWhatIsNotThere:
    """The schema decides what can be asked about in its place."""

    category = {"type": "Category", "id": "c-books"}

    @pytest.fixture
    def update(self, palisade):
        with Node(ASK.parent, PALISADE_URL=palisade.url, PALISADE_TIMEOUT_MS="20000") as node:
            yield lambda token, in_place: node.invoke(
                "updateMissing", {**http_event(Call("updateProduct", "nowhere"), token), "inPlace": in_place}
            ).status

    def test_is_told_to_those_who_may_act_on_it_without_its_facts(self, update, pool):
        product = {"type": "Product", "id": "nowhere"}
        assert [update(pool[name].access, product) for name in ("alice", "bob")] == [404, 403]

    @pytest.mark.parametrize("action, status", [("listProducts", 404), ("createProduct", 403)])
    def test_is_told_to_those_who_may_act_on_its_container(self, action, status, update, pool):
        assert update(pool["bob"].access, {"action": action, "resource": self.category}) == status

    def test_is_told_to_nobody_by_an_action_that_its_container_does_not_have(self, update, pool):
        assert update(pool["alice"].access, self.category) == 503
