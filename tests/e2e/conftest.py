"""The world of the end-to-end tests: moto as Cognito and DynamoDB, Palisade, and Node."""

import logging

import pytest
from moto.server import ThreadedMotoServer

from cognito import UserPool
from functions import Node, aws_environment
from service import Palisade
from shop import Shop


@pytest.fixture(scope="session")
def moto():
    """The address of a moto server on loopback."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def pool(moto):
    return UserPool(moto)


@pytest.fixture(scope="session")
def other_pool(moto):
    """A pool that Palisade was not told of, with users and groups of the same names."""
    return UserPool(moto)


@pytest.fixture(scope="session")
def palisade(tmp_path_factory, pool):
    service = Palisade(tmp_path_factory.mktemp("palisade"), pool)
    yield service
    service.stop()


@pytest.fixture(scope="session")
def functions(moto, palisade):
    """The six handlers, beside a running Palisade."""
    with Node(PALISADE_URL=palisade.url, **aws_environment(moto)) as node:
        yield node


@pytest.fixture(scope="session")
def tables(moto):
    return Shop.created(moto)


@pytest.fixture
def shop(tables, pool):
    """The tables, freshly filled."""
    tables.fill(alice=pool["alice"].sub, bob=pool["bob"].sub)
    return tables
