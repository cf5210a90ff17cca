"""Other authorization services with the same rules about products, asked the same.

`make peers` installs them from their registries. Each runs as its documentation says, with its own logging
at errors only, no decision log and no schema: what can only be to its advantage.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from answering import usual
from pool import USER, Pool
from project import project
from rounds import Contestant, Rounds, Row, rate
from rules import cedar_agent_policies, cerbos_policies
from server import ROOT, Palisade, Server, free_ports, status
from wrk import Failed, Question

PEERS = Path(os.environ.get("PEERS", ROOT / "target/peers"))
# The binary itself: npm's launcher would be a process between, in whose place it could not be measured.
CERBOS = next(PEERS.glob("node_modules/@cerbos/cerbos-*/cerbos-*"), PEERS / "cerbos")
CEDAR_AGENT = PEERS / "bin/cedar-agent"
SIZES = (100, 1_000)


def cerbos(folder: Path, pool: Pool, count: int, by_token: bool) -> Contestant:
    """With a token, the rule for admins reads the groups out of it, as Palisade does; otherwise the caller
    says which roles the user has."""
    (folder / "policies").mkdir(parents=True)
    for number, policy in enumerate(cerbos_policies(count, by_token)):
        (folder / f"policies/{number:05}.json").write_text(policy)
    http, grpc = free_ports(2)
    (folder / "cerbos.json").write_text(
        json.dumps(
            {
                "server": {"httpListenAddr": f"127.0.0.1:{http}", "grpcListenAddr": f"127.0.0.1:{grpc}"},
                "storage": {
                    "driver": "disk",
                    "disk": {"directory": str(folder / "policies"), "watchForChanges": True},
                },
                "auxData": {"jwt": {"keySets": [{"id": "pool", "local": {"file": str(pool.jwks)}}]}},
                "telemetry": {"disabled": True},
            }
        )
    )
    name = f"Cerbos, {count:,} policies, {'with' if by_token else 'without'} a token"
    server = Server(
        name,
        [CERBOS, "server", "--config", folder / "cerbos.json", "--log-level", "error"],
        http,
        lambda: status(http, "/_cerbos/health") == 200,
        folder=folder,
        environment={"CERBOS_NO_TELEMETRY": "1"},
    )
    request = {
        "requestId": "{id}",
        "principal": {"id": USER, "roles": ["user" if by_token else "admin"], "attr": {}},
        "resources": [
            {
                "actions": ["update"],
                "resource": {
                    "kind": "product",
                    "id": "p-{id}",
                    "attr": {"status": "draft", "owner": USER, "category": "toys", "ip": "{ip}"},
                },
            }
        ],
    }
    if by_token:
        request["auxData"] = {"jwt": {"token": "{token}"}}
    question = Question("/api/check/resources", json.dumps(request), [pool.admin], header="")
    must_allow(server, question, b'"EFFECT_ALLOW"')
    return Contestant(name, server, question)


def cedar_agent(folder: Path, pool: Pool, count: int) -> Contestant:
    """It knows no tokens: users and groups are stored, the product comes with the request."""
    folder.mkdir(parents=True)
    (folder / "policies.json").write_text(json.dumps(cedar_agent_policies(count)))
    user, group = {"type": "Shop::User", "id": USER}, {"type": "Shop::Group", "id": "admin"}
    (folder / "data.json").write_text(
        json.dumps(
            [
                {"uid": user, "attrs": {}, "parents": [group]},
                {"uid": group, "attrs": {}, "parents": []},
                *(
                    {
                        "uid": {"type": "Shop::Action", "id": action},
                        "attrs": {},
                        "parents": [{"type": "Shop::Action", "id": "manageProducts"}],
                    }
                    for action in ("createProduct", "updateProduct", "deleteProduct")
                ),
            ]
        )
    )
    (port,) = free_ports(1)
    name = f"cedar-agent, {count:,} policies, without a token"
    server = Server(
        name,
        [
            CEDAR_AGENT,
            "--addr",
            "127.0.0.1",
            "--port",
            str(port),
            "--log-level",
            "error",
            "--policies",
            folder / "policies.json",
            "--data",
            folder / "data.json",
        ],
        port,
        lambda: status(port, "/v1/") == 204,
        folder=folder,
    )
    request = {
        "principal": f'Shop::User::"{USER}"',
        "action": 'Shop::Action::"updateProduct"',
        "resource": 'Shop::Product::"p-{id}"',
        "context": {"ip": {"__extn": {"fn": "ip", "arg": "{ip}"}}},
        "additional_entities": [
            {
                "uid": {"type": "Shop::Product", "id": "p-{again}"},
                "attrs": {"status": "draft", "owner": {"__entity": user}},
                "parents": [{"type": "Shop::Category", "id": "toys"}],
            }
        ],
    }
    question = Question("/v1/is_authorized", json.dumps(request), [pool.admin], header="")
    must_allow(server, question, b'"Allow"')
    return Contestant(name, server, question)


def must_allow(server: Server, question: Question, said: bytes) -> None:
    answer = server.ask(question)
    if said not in answer:
        server.end()
        raise Failed(f"{server.name} does not allow it: {answer.decode()}")


def selection(folder: Path, pool: Pool) -> Iterator[Row]:
    """Cerbos and cedar-agent with as many of the same rules."""
    wanted: list[tuple[Path, Callable[[int], Contestant]]] = [
        (CERBOS, lambda count: cerbos(folder / f"cerbos-token-{count}", pool, count, True)),
        (CERBOS, lambda count: cerbos(folder / f"cerbos-{count}", pool, count, False)),
        (CEDAR_AGENT, lambda count: cedar_agent(folder / f"cedar-agent-{count}", pool, count)),
    ]
    for count in SIZES:
        with ExitStack() as servers:
            ours = servers.enter_context(Palisade(project(folder / f"palisade-{count}", pool, count)))
            theirs = []
            for binary, start in wanted:
                if binary.exists():
                    theirs.append(start(count))
                    servers.enter_context(theirs[-1].server)
            name = f"palisade, {count:,} policies, with a token"
            rounds = Rounds(Contestant(name, ours, usual(pool.admin)), *theirs)
            rounds.show()
            for each in theirs:
                yield rounds.ratio(f"requests/s against {each.name}", name, each.name, rate)
                needs = f"{each.server.seconds_to_ready * 1000:,.0f} ms, {each.server.resident():,.0f} MiB"
                if count == SIZES[-1]:
                    yield Row(f"start to ready, and resident after the rounds: {each.name}", needs)
    for binary in dict.fromkeys(binary for binary, _ in wanted):
        if not binary.exists():
            yield Row(f"{binary.name}", "not installed: `make peers`")
