"""Moto's tokens straight to Palisade, without a handler between."""

import pytest
from joserfc import jwk

from cognito import claims, encoded, expired, signed, signed_by_the_pool, with_claims
from service import Palisade

PRODUCT = {
    "type": "Product",
    "id": "p-1",
    "attributes": {"status": "draft", "price": "12.50"},
    "parents": [{"type": "Category", "id": "c-1"}],
}
CATALOG = {"type": "Catalog", "id": "shop"}
READ = {"action": "readProduct", "resource": PRODUCT}
UPDATE = {"action": "updateProduct", "resource": PRODUCT}


@pytest.fixture(scope="module")
def palisade_for_id_tokens(tmp_path_factory, pool):
    service = Palisade(tmp_path_factory.mktemp("palisade-id"), pool, token_use=["id"])
    yield service
    service.stop()


def assert_problem(reply, status, code, *secrets):
    assert (reply.status, reply.body.get("code")) == (status, code), reply.text
    assert reply.headers["Content-Type"].split(";")[0] == "application/problem+json"
    assert reply.body["type"] == f"urn:palisade:problem:{code}"
    assert reply.body["status"] == status
    for secret in secrets:
        assert secret not in reply.text


def assert_unauthorized(reply, token):
    _, payload, signature = token.split(".")
    assert_problem(reply, 401, "invalid_token", payload, claims(token)["sub"], *filter(None, [signature]))
    assert reply.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "name, question, policies",
    [
        ("alice", READ, ["users-view-products"]),
        ("alice", UPDATE, ["admins-manage-products"]),
        ("alice", {"action": "createCategory", "resource": CATALOG}, ["admins-manage-categories"]),
        ("bob", READ, ["users-view-products"]),
        ("carol", READ, ["users-view-products"]),
        ("dave", READ, ["users-view-products"]),
    ],
)
def test_allow_names_its_policies(name, question, policies, palisade, pool):
    reply = palisade.ask("/authorize", pool[name].access, question)
    assert reply.status == 200, reply.text
    assert reply.headers["Content-Type"].split(";")[0] == "application/json"
    assert (reply.body["decision"], reply.body["reason"]) == ("allow", "permitted")
    assert (reply.body["policies"], reply.body["errors"]) == (policies, [])
    assert reply.body["revision"] == palisade.readiness()["revision"]


@pytest.mark.parametrize("name", ["bob", "carol", "dave"])
@pytest.mark.parametrize(
    "question",
    [UPDATE, {"action": "createCategory", "resource": CATALOG}],
    ids=["in the group admin", "the attribute groups"],
)
def test_groups_are_exactly_those_of_the_token(name, question, palisade, pool):
    """Neither `Admin` nor `not-admin` nor `admin,user` is `admin`, by hierarchy or by attribute."""
    reply = palisade.ask("/authorize", pool[name].access, question)
    assert reply.status == 200, reply.text
    assert (reply.body["decision"], reply.body["reason"], reply.body["policies"]) == ("deny", "no_permit", [])


def test_a_forbid_names_itself(palisade, pool):
    question = {
        "action": "deleteCategory",
        "resource": {"type": "Category", "id": "c-1"},
        "context": {"productCount": 1},
    }
    reply = palisade.ask("/authorize", pool["alice"].access, question)
    assert (reply.body["decision"], reply.body["reason"]) == ("deny", "forbidden"), reply.text
    assert reply.body["policies"] == ["filled-categories-stay"]


def test_every_decision_is_on_record(palisade, pool):
    replies = [
        palisade.ask("/authorize", pool[name].access, question)
        for name in ("alice", "bob", "carol")
        for question in (READ, UPDATE)
    ]
    records = {record["decision_id"]: record for record in palisade.records()}
    for reply in replies:
        record = records[reply.body["decision_id"]]
        assert record["decision"] == reply.body["decision"]
        assert record["revision"] == reply.body["revision"]
        assert record["policies"] == reply.body["policies"]
    assert len({reply.body["decision_id"] for reply in replies}) == len(replies)


def test_the_kind_of_token_is_the_operators_choice(palisade, palisade_for_id_tokens, pool):
    alice = pool["alice"]
    assert palisade.ask("/authorize", alice.access, UPDATE).body["decision"] == "allow"
    assert palisade_for_id_tokens.ask("/authorize", alice.id, UPDATE).body["decision"] == "allow"

    refused = palisade.ask("/authorize", alice.id, UPDATE)
    assert_unauthorized(refused, alice.id)
    assert "token_use" in refused.body["detail"]
    assert_unauthorized(palisade_for_id_tokens.ask("/authorize", alice.access, UPDATE), alice.access)


def test_the_token_may_come_in_the_body(palisade, pool):
    token = pool["alice"].access
    assert palisade.ask("/authorize", None, {**UPDATE, "token": token}).body["decision"] == "allow"
    assert_problem(palisade.ask("/authorize", token, {**UPDATE, "token": token}), 400, "malformed_request", token)


def test_no_token(palisade):
    reply = palisade.ask("/authorize", None, READ)
    assert_problem(reply, 401, "missing_token")
    assert reply.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_token_that_has_run_out(palisade, pool):
    token = expired(pool["alice"].access)
    reply = palisade.ask("/authorize", token, READ)
    assert_unauthorized(reply, token)
    assert "expired" in reply.body["detail"]


def test_a_token_of_the_pool_that_the_test_signed(palisade, pool):
    """What shows that the forged tokens below are refused for what is forged in them."""
    token = signed_by_the_pool(claims(pool["alice"].access))
    assert palisade.ask("/authorize", token, UPDATE).body["decision"] == "allow"


def tampered_group(bob, alice):
    return with_claims(bob, **{"cognito:groups": ["admin"]})


def signature_of_another(bob, alice):
    return ".".join([*alice.split(".")[:2], bob.split(".")[2]])


def signature_cut_short(bob, alice):
    return alice[:-4]


def no_algorithm(bob, alice):
    return f"{encoded({'alg': 'none', 'kid': 'dummy'})}.{alice.split('.')[1]}."


def another_key(bob, alice):
    return signed(claims(alice), jwk.RSAKey.generate_key(2048))


def another_client(bob, alice):
    return signed_by_the_pool({**claims(alice), "client_id": "somebody-elses-app"})


def another_pool(bob, alice):
    return signed_by_the_pool({**claims(alice), "iss": claims(alice)["iss"] + "x"})


def groups_in_a_string(bob, alice):
    return signed_by_the_pool({**claims(alice), "cognito:groups": "admin"})


@pytest.mark.parametrize(
    "forge",
    [
        tampered_group,
        signature_of_another,
        signature_cut_short,
        no_algorithm,
        another_key,
        another_client,
        another_pool,
        groups_in_a_string,
    ],
)
def test_a_forged_token(forge, palisade, pool):
    token = forge(pool["bob"].access, pool["alice"].access)
    assert_unauthorized(palisade.ask("/authorize", token, READ), token)


def test_explain_is_off(palisade, pool):
    reply = palisade.ask("/authorize?explain=true", pool["alice"].access, READ)
    assert_problem(reply, 403, "explain_not_allowed")


def test_a_misspelt_action_is_told_what_was_meant(palisade, pool):
    reply = palisade.ask("/authorize", pool["alice"].access, {**UPDATE, "action": "updateProdct"})
    assert_problem(reply, 422, "unknown_action")
    assert "updateProduct" in reply.body["detail"]


def test_the_body_describes_no_user(palisade, pool):
    bob = pool["bob"]
    admin = {"type": "User", "id": bob.sub, "parents": [{"type": "Group", "id": "admin"}]}
    reply = palisade.ask("/authorize", bob.access, {**UPDATE, "entities": [admin]})
    assert_problem(reply, 400, "forged_identity", bob.sub)


def test_a_batch_is_judged_row_by_row(palisade, pool):
    rows = [
        {"id": "read", **READ},
        {"id": "update", **UPDATE},
        {"id": "misspelt", **UPDATE, "action": "updateProdct"},
        {"id": "catalog", "action": "listCategories", "resource": CATALOG},
    ]
    reply = palisade.ask("/authorize/batch", pool["bob"].access, {"requests": rows})
    assert reply.status == 200, reply.text
    assert [(row["id"], row["decision"]) for row in reply.body["decisions"]] == [
        ("read", "allow"),
        ("update", "deny"),
        ("misspelt", "deny"),
        ("catalog", "allow"),
    ]
    misspelt = reply.body["decisions"][2]
    assert (misspelt["reason"], misspelt["error"]["code"]) == ("not_evaluated", "unknown_action")
    assert reply.body["revision"] == palisade.readiness()["revision"]

    logged = {record["decision_id"] for record in palisade.records()}
    assert {row["decision_id"] for row in reply.body["decisions"] if "error" not in row} <= logged
