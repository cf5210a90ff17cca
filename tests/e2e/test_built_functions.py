"""What `sam build` makes of the template: Node imports it, and runs it under what its role allows."""

import base64
import json
import subprocess
import urllib.request
from contextlib import ExitStack, contextmanager

import pytest

import template
from artifacts import Checkout
from functions import HANDLERS, NODE, Node, aws_environment
from gateway import ROUTES, http_event
from shop import Shop, changes
from stack import Stack
from test_handlers import CALLS

every_call = pytest.mark.parametrize("call", CALLS, ids=lambda call: call.function)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    checkout = Checkout(tmp_path_factory.mktemp("built"))
    checkout.build()
    return checkout


@pytest.fixture(scope="module")
def stack(moto):
    stack = Stack(moto, api="https://api.example.com")
    yield stack
    stack.delete()


@pytest.fixture(scope="module")
def deployed(built, stack, moto, palisade):
    """The six functions, each from its own artifact, with the environment that the template gives it."""
    with ExitStack() as running:
        yield {
            function: running.enter_context(
                Node(
                    built.artifact(function),
                    **{**stack.environment(function), **aws_environment(moto)},
                    PALISADE_URL=palisade.url,
                )
            )
            for function in ROUTES
        }


@pytest.fixture
def filled(stack, pool):
    """The tables of the stack, freshly filled."""
    shop = Shop(stack.table("Products"), stack.table("Categories"))
    shop.fill(alice=pool["alice"].sub, bob=pool["bob"].sub)
    return shop


@pytest.fixture
def requests(moto, monkeypatch, tmp_path):
    """What DynamoDB is asked for while it is recorded, as moto keeps it."""
    # moto writes its recording into the folder that it runs in.
    monkeypatch.chdir(tmp_path)

    def recorder(verb):
        urllib.request.urlopen(f"{moto}/moto-api/recorder/{verb}", data=b"", timeout=10).close()

    @contextmanager
    def recorded():
        seen = []
        recorder("reset-recording")
        recorder("start-recording")
        try:
            yield seen
        finally:
            recorder("stop-recording")
        for line in (tmp_path / "moto_recording").read_text().splitlines():
            request = json.loads(line)
            headers = {name.lower(): value for name, value in request["headers"].items()}
            target = headers.get("x-amz-target", "")
            if target.startswith("DynamoDB_"):
                seen.append((target.partition(".")[2], json.loads(base64.b64decode(request["body"]))))

    return recorded


@every_call
@pytest.mark.parametrize(("name", "status"), [("alice", 200), ("bob", 403)])
def test_a_built_function_asks_and_does_what_its_role_allows_and_no_more(
    call, name, status, deployed, stack, pool, filled, requests
):
    before = filled.items()
    with requests() as seen:
        response = deployed[call.function].invoke(call.function, http_event(call, pool[name].access))
    assert response.status == status, response.body
    assert bool(changes(before, filled.items())) == (status == 200)

    granted = {grant for grant in template.grants(call.function) if grant[0].startswith("dynamodb:")}
    tables = {stack.physical_id(table): f"{table}.Arn" for table in ("Products", "Categories")}
    done = {(f"dynamodb:{action}", tables[table]) for action, table in actions(seen)}
    assert done == granted if status == 200 else done <= granted


def actions(requests):
    """What IAM judges a request to DynamoDB by: a transaction by its parts."""
    for operation, body in requests:
        if operation == "TransactWriteItems":
            for part in body["TransactItems"]:
                [(verb, item)] = part.items()
                yield f"{verb}Item", item["TableName"]
        else:
            yield operation, body["TableName"]


@pytest.mark.parametrize("function", ROUTES)
def test_an_artifact_holds_the_handlers_and_the_client_and_no_more(function, built):
    folder = built.artifact(function)
    modules = {path.name for path in folder.iterdir()}
    assert modules == {path.name for path in HANDLERS.glob("*.mjs")} | {"node_modules"}
    packages = {str(path.relative_to(folder)) for path in folder.glob("node_modules/*/*")}
    assert packages == {"node_modules/@palisade/client"}


@pytest.mark.parametrize("function", ROUTES)
def test_the_node_that_runs_an_artifact_is_the_one_of_the_template(function):
    version = subprocess.run([NODE, "--version"], capture_output=True, text=True, check=True).stdout
    assert template.functions()[function]["Runtime"] == f"nodejs{version.removeprefix('v').partition('.')[0]}.x"
