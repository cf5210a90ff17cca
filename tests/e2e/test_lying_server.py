"""The six handlers beside a server that lies, or that answers too late: the tables say what came of it.

What the client itself makes of every lie is in clients/node/test.
"""

import json
import signal
import threading
import time

import pytest

from cognito import signed_by_the_pool
from functions import Node, aws_environment
from gateway import FORMATS, SOURCE_IP, Call, http_event
from lying_server import JSON, LyingServer, http, wait_for_the_client_to_leave
from shop import changes
from test_handlers import CALLS, every_call

ALLOW = '{"decision": "allow"}'
PATIENCE_MS = "400"


def stall(connection):
    connection.sendall(http("200 OK", ALLOW)[:-1])
    wait_for_the_client_to_leave(connection, at_most=30)


def gigabyte(connection):
    connection.sendall(http("200 OK").replace(b"Content-Length: 0", b"Content-Length: 1073741824"))
    for _ in range(1024):
        connection.sendall(b" " * 2**20)


LIES = {
    "201": http("201 Created", ALLOW),
    "204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "307": http("307 Temporary Redirect", ALLOW, JSON, "Location: /allow"),
    "html": http("200 OK", "<html>allow</html>", "text/html"),
    "{}": http("200 OK", "{}"),
    "an array for a decision": http("200 OK", '{"decision": ["allow"]}'),
    "upper case": http("200 OK", '{"decision": "ALLOW"}'),
    "an inherited decision": http("200 OK", '{"__proto__": {"decision": "allow"}}'),
    "truncated": http("200 OK", ALLOW + " " * 80)[:-40],
    "slow": stall,
    "a gigabyte": gigabyte,
}


@pytest.fixture(scope="module")
def server():
    server = LyingServer()
    yield server
    server.close()


@pytest.fixture(scope="module")
def node(server, moto):
    """Waits for as long as the writes of others take."""
    with Node(PALISADE_URL=server.url, PALISADE_TIMEOUT_MS="20000", **aws_environment(moto)) as node:
        yield node


@pytest.fixture(scope="module")
def hasty_node(server, moto):
    with Node(PALISADE_URL=server.url, PALISADE_TIMEOUT_MS=PATIENCE_MS, **aws_environment(moto)) as node:
        yield node


@pytest.fixture(scope="module")
def token(pool):
    return pool["alice"].access


@every_call
@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
def test_a_lie_changes_no_table(lie, call, server, hasty_node, token, shop):
    server.tell(lie)
    before = shop.items()
    response = hasty_node.invoke(call.function, http_event(call, token))
    assert (response.status, response.body) == (503, {"error": "Please try again later"})
    assert changes(before, shop.items()) == {}


def question_of(request: bytes) -> dict:
    return json.loads(request.partition(b"\r\n\r\n")[2])


@pytest.mark.parametrize("event_of", FORMATS.values(), ids=FORMATS.keys())
@every_call
def test_what_each_handler_asks(call, event_of, server, node, pool, shop):
    alice, bob = ({"type": "User", "id": pool[name].sub} for name in ("alice", "bob"))
    catalog = {"type": "Catalog", "id": "shop"}

    def product(owner):
        attributes = {"owner": owner, "status": "draft", "price": "12.50"}
        return {"attributes": attributes, "parents": [{"type": "Category", "id": "c-books"}]}

    category = {"attributes": {"owner": alice}, "parents": [catalog]}
    resource, context = {
        "createProduct": ({"type": "Category", "id": "c-books", **category}, {}),
        "updateProduct": ({"type": "Product", "id": "p-alice", **product(alice)}, {}),
        "deleteProduct": ({"type": "Product", "id": "p-bob", **product(bob)}, {}),
        "createCategory": (catalog, {}),
        "updateCategory": ({"type": "Category", "id": "c-books", **category}, {}),
        "deleteCategory": ({"type": "Category", "id": "c-empty", **category}, {"productCount": 0}),
    }[call.function]

    server.tell(http("200 OK", '{"decision": "deny"}'))
    assert node.invoke(call.function, event_of(call, pool["carol"].access)).status == 403
    [request] = server.requests
    assert question_of(request) == {
        "action": call.function,
        "resource": resource,
        "context": {"ip": SOURCE_IP, **context},
    }


def test_the_gateways_test_console_has_no_address(server, node, token):
    server.tell(http("200 OK", '{"decision": "deny"}'))
    event = http_event(Call("createCategory"), token)
    event["requestContext"] = {"identity": {"sourceIp": "test-invoke-source-ip"}}
    node.invoke("createCategory", event)
    assert question_of(server.requests[0])["context"] == {}


RACES = [
    *((Call("updateProduct", "p-bob", {"name": "x"}), "products", fact) for fact in ("owner", "status", "price", "category")),
    *((Call("deleteProduct", "p-bob"), "products", fact) for fact in ("owner", "status", "price", "category")),
    (Call("createProduct", "c-books", {"name": "x"}), "categories", "owner"),
    (Call("updateCategory", "c-books", {"name": "x"}), "categories", "owner"),
    (Call("deleteCategory", "c-empty"), "categories", "owner"),
    (Call("deleteCategory", "c-empty"), "categories", "productCount"),
]


@pytest.mark.parametrize("call, table, fact", RACES, ids=[f"{call.function}-{fact}" for call, _, fact in RACES])
def test_what_the_decision_depended_on_changes_before_the_write(call, table, fact, server, node, token, shop):
    def allow_too_late(connection):
        shop.change(table, call.id, fact, 1 if fact == "productCount" else "changed")
        connection.sendall(http("200 OK", ALLOW))

    server.tell(allow_too_late)
    before = shop.items()
    response = node.invoke(call.function, http_event(call, token))
    assert response.status == 409
    (key, (_, after)), *others = changes(before, shop.items()).items()
    assert (key, others) == ((table, call.id), [])
    assert after == {**before[key], fact: after[fact]}, "nothing but the other's write is in the table"


@pytest.mark.parametrize("call", [call for call in CALLS if call.id], ids=lambda call: call.function)
def test_what_the_decision_was_about_goes_before_the_write(call, server, node, token, shop):
    table = "products" if call.function in ("updateProduct", "deleteProduct") else "categories"

    def allow_too_late(connection):
        shop.tables[table].delete_item(Key={"id": call.id})
        connection.sendall(http("200 OK", ALLOW))

    server.tell(allow_too_late)
    before = shop.items()
    assert node.invoke(call.function, http_event(call, token)).status == 409
    assert changes(before, shop.items()) == {(table, call.id): (before[table, call.id], None)}


def test_a_handler_is_frozen_between_its_decision_and_its_write(server, node, token, shop):
    def freeze(connection):
        node.process.send_signal(signal.SIGSTOP)
        connection.sendall(http("200 OK", ALLOW))
        shop.change("products", "p-bob", "owner", "somebody")
        node.process.send_signal(signal.SIGCONT)

    server.tell(freeze)
    before = shop.items()
    assert node.invoke("deleteProduct", http_event(Call("deleteProduct", "p-bob"), token)).status == 409
    bobs = ("products", "p-bob")
    assert changes(before, shop.items()) == {bobs: (before[bobs], {**before[bobs], "owner": "somebody"})}


class TestAnItemWithoutAnOwner:
    """What a machine created: the owner's absence is a fact like any other."""

    call = Call("updateCategory", "c-books", {"name": "x"})

    @pytest.fixture(autouse=True)
    def ownerless(self, shop):
        shop.tables["categories"].put_item(Item={"id": "c-books", "name": "Books", "productCount": 2})

    def allow_after(self, write):
        return lambda connection: (write(), connection.sendall(http("200 OK", ALLOW)))

    def test_is_changed(self, server, node, token, shop):
        server.tell(http("200 OK", ALLOW))
        assert node.invoke("updateCategory", http_event(self.call, token)).status == 200
        assert question_of(server.requests[0])["resource"]["attributes"] == {}
        assert shop.items()["categories", "c-books"]["name"] == "x"

    def test_but_not_once_it_has_one(self, server, node, token, shop):
        server.tell(self.allow_after(lambda: shop.change("categories", "c-books", "owner", "somebody")))
        assert node.invoke("updateCategory", http_event(self.call, token)).status == 409
        assert shop.items()["categories", "c-books"]["name"] == "Books"

    def test_and_not_once_it_is_gone(self, server, node, token, shop):
        server.tell(self.allow_after(lambda: shop.tables["categories"].delete_item(Key={"id": "c-books"})))
        assert node.invoke("updateCategory", http_event(self.call, token)).status == 409
        assert ("categories", "c-books") not in shop.items()


def until(holds, at_most=10):
    deadline = time.monotonic() + at_most
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)


class TestTwoAtOnce:
    """Both have loaded and are allowed; one writes just before the other."""

    @pytest.fixture
    def at_once(self, server, node, token, shop):
        both_asked = threading.Barrier(2)
        before = shop.items()

        def allow_one_by_one(connection):
            # moto takes back what another transaction wrote when one fails beside it.
            if both_asked.wait(10) == 1:
                until(lambda: shop.items() != before)
            connection.sendall(http("200 OK", ALLOW))

        server.tell(allow_one_by_one)

        def invoke(*calls):
            responses = node.invoke_together([(call.function, http_event(call, token)) for call in calls])
            return [response.status for response in responses]

        return invoke

    def test_a_product_is_deleted_once(self, at_once, shop):
        assert sorted(at_once(Call("deleteProduct", "p-bob"), Call("deleteProduct", "p-bob"))) == [200, 409]
        assert shop.items()["categories", "c-books"]["productCount"] == 1

    def test_a_category_goes_or_gets_a_product(self, at_once, shop):
        product = Call("createProduct", "c-empty", {"name": "Atlas"})
        created, deleted = at_once(product, Call("deleteCategory", "c-empty"))
        assert sorted([created, deleted]) == [200, 409]
        items = shop.items()
        held = [item for (table, _), item in items.items() if table == "products" and item["category"] == "c-empty"]
        assert (len(held), ("categories", "c-empty") in items) == ((1, True) if created == 200 else (0, False))


def test_a_machine_owns_nothing(server, node, pool, shop):
    machine = signed_by_the_pool({"sub": "m2m", "client_id": "m2m", "token_use": "access", "scope": "shop/write"})
    server.tell(http("200 OK", ALLOW))
    response = node.invoke("createCategory", http_event(Call("createCategory", body={"name": "Atlases"}), machine))
    assert response.status == 200
    assert "owner" not in shop.items()["categories", response.body["id"]]
