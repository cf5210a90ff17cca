"""Every handler, run by Node, as everyone who may come: what it answers, and what it does to the tables."""

import base64
from pathlib import Path

import pytest

from cognito import expired
from functions import Node
from gateway import FORMATS, Call, http_event, rest_event
from shop import changes

# What each function is asked in the tests that ask all six.
CALLS = [
    Call("createProduct", "c-books", {"name": "Atlas", "price": "30.00"}),
    Call("updateProduct", "p-alice", {"name": "Atlas", "status": "published"}),
    Call("deleteProduct", "p-bob"),
    Call("createCategory", body={"name": "Globes"}),
    Call("updateCategory", "c-books", {"name": "Old books"}),
    Call("deleteCategory", "c-empty"),
]

OWNERS_UPDATE = """
@id("owners-update-their-products")
permit (
  principal is Shop::User,
  action == Shop::Action::"updateProduct",
  resource is Shop::Product
)
when { resource has owner && resource.owner == principal };
"""

every_call = pytest.mark.parametrize("call", CALLS, ids=lambda call: call.function)
every_format = pytest.mark.parametrize("event_of", FORMATS.values(), ids=FORMATS.keys())


@pytest.fixture
def unchanged(shop):
    """The tables are afterwards what they were before."""
    before = shop.items()
    yield
    assert changes(before, shop.items()) == {}


@pytest.fixture
def decisions(palisade):
    """Gives the records that were logged since the test began."""
    seen = len(palisade.records())
    return lambda: palisade.records()[seen:]


@every_format
@every_call
def test_an_admin_may(call, event_of, functions, pool, shop, decisions):
    before = shop.items()
    response = functions.invoke(call.function, event_of(call, pool["alice"].access))
    assert response.status == 200, response.body
    assert changes(before, shop.items()) == expected_changes(call, response, before, pool["alice"])
    assert_recorded(decisions(), "allow", call, pool["alice"])


def assert_recorded(records, decision, call, user):
    """One record, of who asked for what."""
    members = ("decision", "principal", "action")
    assert [tuple(record[member] for member in members) for record in records] == [
        (decision, f'Shop::User::"{user.sub}"', f'Shop::Action::"{call.function}"')
    ]


def expected_changes(call, response, before, principal):
    """Exactly what a call that is allowed does to the tables."""
    books = ("categories", "c-books")

    def counted(amount):
        was = before[books]
        return (was, {**was, "productCount": was["productCount"] + amount})

    target = ("products" if call.function.endswith("Product") else "categories", call.id)
    match call.function:
        case "createProduct":
            new = {**call.body, "id": response.body["id"], "category": "c-books", "owner": principal.sub}
            return {("products", new["id"]): (None, new), books: counted(+1)}
        case "createCategory":
            new = {**call.body, "id": response.body["id"], "owner": principal.sub, "productCount": 0}
            return {("categories", new["id"]): (None, new)}
        case "updateProduct" | "updateCategory":
            return {target: (before[target], {**before[target], **call.body})}
        case "deleteProduct":
            return {target: (before[target], None), books: counted(-1)}
        case "deleteCategory":
            return {target: (before[target], None)}


@every_format
@every_call
@pytest.mark.parametrize("name", ["bob", "carol", "dave"])
def test_others_may_not(call, event_of, name, functions, pool, unchanged, decisions):
    response = functions.invoke(call.function, event_of(call, pool[name].access))
    assert response.status == 403
    assert response.body == {"error": "You do not have permission"}
    assert_recorded(decisions(), "deny", call, pool[name])


@every_format
@every_call
def test_an_expired_token(call, event_of, functions, pool, unchanged, decisions):
    response = functions.invoke(call.function, event_of(call, expired(pool["alice"].access)))
    assert response.status == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert "allow" not in [record.get("decision") for record in decisions()]


@every_format
@every_call
@pytest.mark.parametrize("kind", ["access", "id"])
def test_an_admin_of_another_pool(call, event_of, kind, functions, other_pool, unchanged, decisions):
    response = functions.invoke(call.function, event_of(call, getattr(other_pool["alice"], kind)))
    assert response.status == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert "allow" not in [record.get("decision") for record in decisions()]


@every_format
@every_call
def test_no_token(call, event_of, functions, unchanged, decisions):
    response = functions.invoke(call.function, event_of(call, None))
    assert response.status == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert decisions() == []


@pytest.fixture(scope="class")
def owners_policy(palisade):
    with palisade.with_policy("owners.cedar", OWNERS_UPDATE):
        yield


@pytest.mark.usefixtures("owners_policy")
class TestOwnersMayUpdate:
    """With a policy added to the running service that lets owners update their products."""

    @every_format
    def test_their_own(self, event_of, functions, pool, shop):
        before = shop.items()
        call = Call("updateProduct", "p-bob", {"price": "9.99"})
        response = functions.invoke(call.function, event_of(call, pool["bob"].access))
        assert response.status == 200, response.body
        own = ("products", "p-bob")
        assert changes(before, shop.items()) == {own: (before[own], {**before[own], "price": "9.99"})}

    @every_format
    @pytest.mark.parametrize("forged", ["nothing", "owner", "owner entity", "id", "both"])
    def test_not_those_of_others(self, event_of, forged, functions, pool, unchanged):
        bob = pool["bob"].sub
        members = {
            "nothing": {},
            "owner": {"owner": bob},
            "owner entity": {"owner": {"type": "User", "id": bob}},
            "id": {"id": "p-bob"},
            "both": {"id": "p-bob", "owner": bob},
        }[forged]
        call = Call("updateProduct", "p-alice", {"price": "9.99", **members})
        response = functions.invoke(call.function, event_of(call, pool["bob"].access))
        assert response.status == 403

    @every_format
    @pytest.mark.parametrize("field", ["owner", "id", "category"])
    def test_and_neither_give_away_nor_move_their_own(self, event_of, field, functions, pool, unchanged):
        value = {"owner": pool["alice"].sub, "id": "p-alice", "category": "c-empty"}[field]
        call = Call("updateProduct", "p-bob", {"price": "9.99", field: value})
        response = functions.invoke(call.function, event_of(call, pool["bob"].access))
        assert (response.status, response.body) == (400, {"error": f'"{field}" cannot be set'})

    def test_but_not_delete(self, functions, pool, unchanged):
        event = http_event(Call("deleteProduct", "p-bob"), pool["bob"].access)
        assert functions.invoke("deleteProduct", event).status == 403


def test_an_added_policy_is_gone_when_its_file_is(palisade, functions, pool, unchanged):
    with palisade.with_policy("owners.cedar", OWNERS_UPDATE):
        pass
    event = http_event(Call("updateProduct", "p-bob", {"price": "9.99"}), pool["bob"].access)
    assert functions.invoke("updateProduct", event).status == 403


class TestFilledCategories:
    def test_stay(self, functions, pool, unchanged):
        event = http_event(Call("deleteCategory", "c-books"), pool["alice"].access)
        assert functions.invoke("deleteCategory", event).status == 403

    def test_go_with_their_last_product(self, functions, pool, shop):
        alice = pool["alice"].access
        for product in ("p-alice", "p-bob"):
            assert functions.invoke("deleteProduct", http_event(Call("deleteProduct", product), alice)).status == 200
        assert functions.invoke("deleteCategory", http_event(Call("deleteCategory", "c-books"), alice)).status == 200
        assert shop.items().keys() == {("categories", "c-empty")}


def test_a_product_of_a_lost_category_does_not_bring_it_back(functions, pool, shop):
    shop.tables["categories"].delete_item(Key={"id": "c-books"})
    before = shop.items()
    event = http_event(Call("deleteProduct", "p-bob"), pool["alice"].access)
    assert functions.invoke("deleteProduct", event).status == 409
    assert changes(before, shop.items()) == {}


class TestWhatIsNotThere:
    missing = pytest.mark.parametrize(
        "call",
        [Call(call.function, "nowhere", call.body) for call in CALLS if call.id],
        ids=lambda call: call.function,
    )

    @missing
    def test_is_not_found(self, call, functions, pool, unchanged):
        assert functions.invoke(call.function, http_event(call, pool["alice"].access)).status == 404

    @missing
    def test_is_told_to_nobody_else(self, call, functions, pool, unchanged):
        """From 403 and 401 alone nobody learns which ids exist."""
        for token, status in ((pool["bob"].access, 403), (expired(pool["alice"].access), 401), ("x.y.z", 401)):
            assert functions.invoke(call.function, http_event(call, token)).status == status


class TestTheClientsMistakes:
    @pytest.mark.parametrize(
        "body",
        [
            None,
            "",
            "{",
            "[]",
            "null",
            '"name"',
            "{}",
            '{"name": 1}',
            '{"name": ""}',
            '{"price": 9.99}',
            '{"price": "9"}',
            '{"status": "sold"}',
            '{"name": "Atlas", "productCount": "0"}',
            '{"__proto__": {"name": "Atlas"}}',
            '{"constructor": "Atlas"}',
        ],
    )
    @pytest.mark.parametrize("function, id", [("createProduct", "c-books"), ("updateProduct", "p-alice")])
    def test_in_the_body(self, function, id, body, functions, pool, unchanged):
        event = {**http_event(Call(function, id), pool["alice"].access), "body": body}
        response = functions.invoke(function, event)
        assert response.status == 400
        assert response.body["error"]

    def test_in_the_body_are_told_only_to_who_may(self, functions, pool, unchanged):
        event = {**http_event(Call("updateProduct", "p-alice"), pool["bob"].access), "body": "{"}
        assert functions.invoke("updateProduct", event).status == 403

    @pytest.mark.parametrize("parameters", [None, {}, {"id": ""}, {"id": "a/b"}, {"id": "x" * 65}, {"id": 7}])
    def test_in_the_path(self, parameters, functions, pool, unchanged):
        event = http_event(Call("deleteProduct", "p-alice"), pool["alice"].access)
        assert functions.invoke("deleteProduct", {**event, "pathParameters": parameters}).status == 400


@every_format
def test_a_base64_body(event_of, functions, pool, shop):
    event = event_of(Call("updateCategory", "c-books"), pool["alice"].access)
    event |= {"body": base64.b64encode('{"name": "Bücher"}'.encode()).decode(), "isBase64Encoded": True}
    assert functions.invoke("updateCategory", event).status == 200
    assert shop.items()["categories", "c-books"]["name"] == "Bücher"


@every_call
def test_an_event_that_is_none(call, functions, unchanged):
    for event in (None, {}, [], "event", {"headers": None}, {"headers": {"authorization": {"toString": 1}}}):
        assert functions.invoke(call.function, event).status == 401


class TestTheAuthorizationHeader:
    @pytest.mark.parametrize("name", ["authorization", "Authorization", "AUTHORIZATION", "aUtHoRiZaTiOn"])
    @pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER ", ""])
    @pytest.mark.parametrize("headers", ["headers", "multiValueHeaders"])
    def test_is_read_as_http_has_it(self, name, scheme, headers, functions, pool, shop):
        value = scheme + pool["alice"].access
        event = http_event(Call("deleteProduct", "p-alice"), None)
        event |= {"headers": {}, headers: {name: [value] if headers == "multiValueHeaders" else value}}
        assert functions.invoke("deleteProduct", event).status == 200

    @pytest.mark.parametrize("value", ["", "Bearer", "Bearer ", "Basic YWxpY2U6cGFzcw==", "Token {}", "Bearer {} {}", "Bearer {}\n"])
    def test_of_another_kind(self, value, functions, pool, unchanged, decisions):
        event = http_event(Call("deleteProduct", "p-alice"), None)
        event["headers"]["authorization"] = value.replace("{}", pool["alice"].access)
        assert functions.invoke("deleteProduct", event).status == 401
        assert decisions() == []

    def test_twice(self, functions, pool, unchanged, decisions):
        alice, bob = (f"Bearer {pool[name].access}" for name in ("alice", "bob"))
        call = Call("deleteProduct", "p-alice")
        rest, http = rest_event(call, None), http_event(call, None)
        for event in (
            # As the REST format has them: the last one, and all.
            {**rest, "headers": {"Authorization": alice}, "multiValueHeaders": {"Authorization": [bob, alice]}},
            {**rest, "headers": {"Authorization": alice}, "multiValueHeaders": {"Authorization": [alice, alice]}},
            {**rest, "headers": {"Authorization": alice}, "multiValueHeaders": {"Authorization": [bob]}},
            {**rest, "headers": {"Authorization": alice, "authorization": bob}, "multiValueHeaders": None},
            # As the HTTP API format has them: joined.
            {**http, "headers": {"authorization": f"{alice},{alice}"}},
            {**http, "headers": {"authorization": f"{alice}, {bob}"}},
        ):
            assert functions.invoke("deleteProduct", event).status == 401
        assert decisions() == []


class TestWhatIsAroundEveryHandler:
    @pytest.fixture
    def node(self):
        with Node(Path(__file__).parent) as node:
            yield node

    @pytest.mark.parametrize("thrown, said", [(None, "null"), ("text", '"text"'), ({"name": 7}, '{"name":7}')])
    def test_throws_on_what_is_no_error(self, thrown, said, node):
        with pytest.raises(RuntimeError) as raised:
            node.invoke("answering", {"thrown": thrown})
        assert str(raised.value) == said

    def test_hands_on_the_context_of_lambda(self, node):
        assert node.invoke("answering", {}).body == {"functionName": "answering"}


def test_no_token_is_in_the_decision_log(palisade, functions, pool, shop):
    for user in pool.users.values():
        for token in (user.access, user.id, expired(user.access)):
            functions.invoke("updateProduct", rest_event(CALLS[1], token))
    log = palisade.log.read_text() + palisade.program_log.read_text()
    for user in pool.users.values():
        assert user.sub in log
        for token in (user.access, user.id, expired(user.access)):
            _, payload, signature = token.split(".")
            assert payload not in log and signature not in log
