"""authorize.mjs against a server that lies: nothing but a clear "allow" allows, and every wait ends."""

import json
import threading
import time

import pytest

from cognito import signed_by_the_pool
from functions import Node, aws_environment
from gateway import FORMATS, SOURCE_IP, Call, http_event
from lying_server import JSON, LyingServer, http, reset, wait_for_the_client_to_leave
from service import free_ports
from shop import changes
from test_handlers import CALLS

PROBLEM = "application/problem+json"
ALLOW = '{"decision": "allow"}'
QUESTION = {"action": "deleteProduct", "resource": {"type": "Product", "id": "p-1"}}
PATIENCE_MS = 400


def problem(status, code, *headers):
    return http(f"{status} Refused", json.dumps({"code": code, "detail": "why"}), PROBLEM, *headers)


def chunked(*chunks):
    body = b"".join(f"{len(chunk):x}\r\n{chunk}\r\n".encode() for chunk in chunks)
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + body


def stall(sent=b""):
    def answer(connection):
        connection.sendall(sent)
        wait_for_the_client_to_leave(connection, at_most=30)

    return answer


def drip(connection):
    """An honest answer, though each byte comes late: no pause is long, the whole is."""
    for byte in http("200 OK", ALLOW):
        connection.sendall(bytes([byte]))
        time.sleep(0.05)


LIES = {
    "nothing at all": b"",
    "not http": b"allow\r\n\r\n",
    "100 and no more": b"HTTP/1.1 100 Continue\r\n\r\n",
    "101": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: allow\r\nConnection: upgrade\r\n\r\n" + ALLOW.encode(),
    "201": http("201 Created", ALLOW),
    "202": http("202 Accepted", ALLOW),
    "204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "206": http("206 Partial Content", ALLOW),
    "301": http("301 Moved Permanently", ALLOW, JSON, "Location: /allow"),
    "307": http("307 Temporary Redirect", ALLOW, JSON, "Location: /allow"),
    "403 that allows": http("403 Forbidden", ALLOW),
    "500": http("500 Internal Server Error", ALLOW),
    "500 and a problem": problem(500, "internal"),
    "503 and a problem": problem(503, "keys_unavailable", "Retry-After: 1"),
    "a problem that allows": http("200 OK", ALLOW, PROBLEM),
    "an empty body": http("200 OK"),
    "{}": http("200 OK", "{}"),
    "null": http("200 OK", "null"),
    "a string": http("200 OK", '"allow"'),
    "an array": http("200 OK", '[{"decision": "allow"}]'),
    "html": http("200 OK", "<html>allow</html>", "text/html"),
    "html that says json": http("200 OK", "<html>allow</html>"),
    "json that says html": http("200 OK", ALLOW, "text/html"),
    "no content type": http("200 OK", ALLOW, None),
    "another json": http("200 OK", ALLOW, "application/json-seq"),
    "an array for a decision": http("200 OK", '{"decision": ["allow"]}'),
    "true": http("200 OK", '{"decision": true}'),
    "an object for a decision": http("200 OK", '{"decision": {"allow": true}}'),
    "upper case": http("200 OK", '{"decision": "ALLOW"}'),
    "padded": http("200 OK", '{"decision": " allow"}'),
    "another member": http("200 OK", '{"Decision": "allow"}'),
    "an inherited decision": http("200 OK", '{"__proto__": {"decision": "allow"}}'),
    "not evaluated": http("200 OK", '{"decision": "not_evaluated"}'),
    "two documents": http("200 OK", ALLOW + ALLOW),
    "a byte order mark": http("200 OK", b"\xef\xbb\xbf" + ALLOW.encode()),
    "truncated": http("200 OK", ALLOW + " " * 80)[:-40],
    "truncated json": http("200 OK", ALLOW[:-3]),
    "truncated chunks": chunked(ALLOW),
    "too large": http("200 OK", ALLOW + " " * 65536),
    "compressed": http("200 OK", b"\x1f\x8b\x08\x00", JSON, "Content-Encoding: gzip"),
    "reset": reset,
}

STALLS = {
    "before the head": stall(),
    "in the head": stall(b"HTTP/1.1 200 OK\r\nContent-Ty"),
    "before the body": stall(http("200 OK", ALLOW)[: -len(ALLOW)]),
    "in the body": stall(http("200 OK", ALLOW + " ")[:-1]),
    "after a chunk": stall(chunked(ALLOW)),
    "all the way": drip,
}


@pytest.fixture(scope="module")
def server():
    server = LyingServer()
    yield server
    server.close()


@pytest.fixture(scope="module")
def node(server, moto):
    with Node(PALISADE_URL=server.url, PALISADE_TIMEOUT_MS=str(PATIENCE_MS), **aws_environment(moto)) as node:
        yield node


@pytest.fixture(scope="module")
def token(pool):
    return pool["alice"].access


@pytest.fixture
def ask(node, token):
    return lambda: node.call("authorize.mjs", "authorize", token, QUESTION)


def test_the_truth(server, ask, token, pool):
    server.tell(http("200 OK", ALLOW, "Application/JSON; charset=utf-8"))
    assert ask() == {"allowed": True, "user": pool["alice"].sub}
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /authorize HTTP/1.1\r\n")
    assert f"\r\nAuthorization: Bearer {token}\r\n".encode() in head
    assert json.loads(body) == QUESTION

    server.tell(http("200 OK", '{"decision": "deny", "reason": "no_permit"}'))
    assert ask() == {"allowed": False, "status": 403}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
def test_a_lie_never_allows(lie, server, ask):
    server.tell(lie)
    verdict = ask()
    assert (verdict["allowed"], verdict["status"]) == (False, 503)
    assert verdict["cause"]
    assert len(server.requests) == 1, "asked once: no redirect followed, no retry"


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
def test_a_lie_changes_no_table(lie, server, node, token, shop):
    server.tell(lie)
    before = shop.items()
    assert node.invoke("deleteProduct", http_event(Call("deleteProduct", "p-alice"), token)).status == 503
    assert changes(before, shop.items()) == {}


def test_a_polluted_prototype_never_allows(server, token):
    pollution = "Object.prototype.decision=%22allow%22"
    server.tell(http("200 OK", "{}"))
    with Node(PALISADE_URL=server.url, NODE_OPTIONS=f"--import=data:text/javascript,{pollution}") as node:
        assert not node.call("authorize.mjs", "authorize", token, QUESTION)["allowed"]


@pytest.mark.parametrize("answer", STALLS.values(), ids=STALLS.keys())
def test_one_deadline_for_everything(answer, server, ask):
    server.tell(answer)
    started = time.monotonic()
    verdict = ask()
    assert time.monotonic() - started < PATIENCE_MS / 1000 + 1
    assert verdict == {"allowed": False, "status": 503, "cause": f"no answer within {PATIENCE_MS} ms"}


def test_a_stall_of_30_seconds_is_over_in_two(server, token):
    """The patience that it has where nobody says otherwise."""
    server.tell(stall())
    with Node(PALISADE_URL=server.url) as node:
        started = time.monotonic()
        verdict = node.call("authorize.mjs", "authorize", token, QUESTION)
        assert 1.9 < time.monotonic() - started < 4
    assert (verdict["allowed"], verdict["status"]) == (False, 503)


class TestUnauthorized:
    @pytest.mark.parametrize("code", ["missing_token", "invalid_token"])
    def test_about_the_token(self, code, server, node, ask, token, shop):
        challenge = f'Bearer realm="shop", error="{code}"'
        server.tell(problem(401, code, f"WWW-Authenticate: {challenge}"))
        assert ask() == {"allowed": False, "status": 401, "challenge": challenge}
        response = node.invoke("deleteProduct", http_event(Call("deleteProduct", "p-alice"), token))
        assert (response.status, response.headers["WWW-Authenticate"]) == (401, challenge)

    @pytest.mark.parametrize(
        "answer",
        [
            problem(401, "unknown_caller"),
            problem(401, ["invalid_token"]),
            problem(403, "invalid_token"),
            problem(403, "not_permitted"),
            http("401 Unauthorized", '{"code": "invalid_token"}', "text/html"),
            http("401 Unauthorized"),
        ],
    )
    def test_about_anything_else(self, answer, server, ask):
        server.tell(answer)
        assert ask()["status"] == 503


class TestConnections:
    @pytest.fixture
    def node(self, server):
        """A function that has no connection yet."""
        with Node(PALISADE_URL=server.url, PALISADE_TIMEOUT_MS=str(PATIENCE_MS)) as node:
            yield node

    @staticmethod
    def keep_open(connection):
        connection.sendall(http("200 OK", ALLOW))

    def test_are_kept(self, server, ask):
        server.tell(self.keep_open)
        for _ in range(3):
            assert ask()["allowed"]
        # A deadline of an earlier question ends no later one.
        time.sleep(PATIENCE_MS / 1000 + 0.1)
        assert ask()["allowed"]
        assert (len(server.requests), server.connections) == (4, 1)

    @pytest.mark.parametrize("ending", [reset, lambda connection: connection.close()], ids=["reset", "closed"])
    def test_that_end_while_idle_are_tried_anew(self, ending, server, ask):
        server.tell(self.keep_open)
        assert ask()["allowed"]
        # The idle connection ends at the next question; a new one is answered.
        answers = iter([ending, self.keep_open])
        server.tell(lambda connection: next(answers)(connection))
        assert ask()["allowed"]
        assert (len(server.requests), server.connections) == (2, 1)

    def test_that_end_twice_are_not(self, server, ask):
        server.tell(self.keep_open)
        assert ask()["allowed"]
        server.tell(reset)
        assert ask()["status"] == 503
        assert (len(server.requests), server.connections) == (2, 1)

    def test_are_tried_anew_but_once(self, server, node, ask, token):
        """Also where more than one that was idle has ended."""
        both_asked = threading.Barrier(2)
        server.tell(lambda connection: (both_asked.wait(10), self.keep_open(connection)))
        node.call_together([("authorize.mjs", "authorize", token, QUESTION)] * 2)
        assert server.connections == 2

        server.tell(reset)
        assert ask()["status"] == 503
        assert (len(server.requests), server.connections) == (2, 0)

    def test_that_end_in_the_answer_are_not(self, server, ask):
        server.tell(self.keep_open)
        assert ask()["allowed"]
        server.tell(lambda connection: (connection.sendall(b"HTTP/1.1 200 OK\r\n"), connection.close()))
        assert ask()["status"] == 503
        assert (len(server.requests), server.connections) == (1, 0)

    def test_that_are_refused(self, token):
        [port] = free_ports(1)
        with Node(PALISADE_URL=f"http://127.0.0.1:{port}") as node:
            assert node.call("authorize.mjs", "authorize", token, QUESTION)["status"] == 503

    def test_go_through_no_proxy(self, server, token):
        [nowhere] = free_ports(1)
        proxy = {name: f"http://127.0.0.1:{nowhere}" for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY")}
        server.tell(http("200 OK", ALLOW))
        with Node(PALISADE_URL=server.url, NODE_USE_ENV_PROXY="1", **proxy) as node:
            assert node.call("authorize.mjs", "authorize", token, QUESTION)["allowed"]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.function)
def test_every_handler_refuses_without_a_decision(call, server, node, token, shop):
    server.tell(http("200 OK", "{}"))
    before = shop.items()
    response = node.invoke(call.function, http_event(call, token))
    assert (response.status, response.body) == (503, {"error": "Please try again later"})
    assert changes(before, shop.items()) == {}


def question_of(request: bytes) -> dict:
    return json.loads(request.partition(b"\r\n\r\n")[2])


@pytest.mark.parametrize("event_of", FORMATS.values(), ids=FORMATS.keys())
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.function)
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


class TestTwoAtOnce:
    """Both are allowed before either writes."""

    @pytest.fixture
    def at_once(self, server, node, token):
        both_asked = threading.Barrier(2)
        server.tell(lambda connection: (both_asked.wait(10), connection.sendall(http("200 OK", ALLOW))))

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


@pytest.mark.parametrize(
    "environment, complaint",
    [
        ({"PALISADE_URL": "http://palisade.example"}, "https URL"),
        ({"PALISADE_URL": "http://127.0.0.1.example"}, "https URL"),
        ({"PALISADE_URL": "http://localhost@palisade.example"}, "https URL"),
        ({"PALISADE_URL": "ftp://127.0.0.1"}, "https URL"),
        ({"PALISADE_URL": "127.0.0.1:8180"}, "https URL"),
        ({"PALISADE_URL": ""}, "https URL"),
        ({"PALISADE_TIMEOUT_MS": "2s"}, "milliseconds"),
        ({"PALISADE_TIMEOUT_MS": "0"}, "milliseconds"),
        ({"PALISADE_TIMEOUT_MS": "-1"}, "milliseconds"),
    ],
)
def test_settings_that_are_refused_at_the_start(environment, complaint, token):
    with Node(**environment) as node, pytest.raises(RuntimeError, match=complaint):
        node.call("authorize.mjs", "authorize", token, QUESTION)
