"""The Lambda layer: what is in it, that it is always the same, and that it runs where it is meant to."""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import threading
import tomllib
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "layer/build.py"

MB = 1_000_000


def build(into: Path, *arguments: str | Path) -> Path:
    """As `make layer` does."""
    binary = ROOT / os.environ["PALISADE_BIN"]
    subprocess.run([sys.executable, BUILD, "--binary", binary, "--into", into, *arguments], check=True)
    return into


def module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("layer_build", BUILD)
    assert spec and spec.loader
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def test_the_layer_holds_what_lambda_starts_and_is_the_same_every_time(tmp_path: Path) -> None:
    first, second = build(tmp_path / "first.zip"), build(tmp_path / "second.zip")
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as layer:
        modes = {entry.filename: entry.external_attr >> 16 & 0o777 for entry in layer.infolist()}
        script = layer.read("extensions/palisade").decode()
    programs = {"bin/palisade", "extensions/palisade"}
    assert {name for name, mode in modes.items() if mode == 0o755} == programs
    assert all(mode == 0o644 for name, mode in modes.items() if name not in programs)
    assert {"palisade/policies/product.cedar", "palisade/schema/shop.cedarschema"} <= modes.keys()
    assert script.endswith("exec /opt/bin/palisade lambda-extension --config /opt/palisade/palisade.toml\n")
    if "debug" not in os.environ["PALISADE_BIN"]:
        assert first.stat().st_size < 12 * MB


def test_other_policies_take_the_place_of_the_shops(tmp_path: Path) -> None:
    policies = tmp_path / "mine"
    (policies / ".hidden").mkdir(parents=True)
    (policies / ".hidden/no.cedar").touch()
    (policies / "one.cedar").write_text("forbid (principal, action, resource);\n")
    schema = ROOT / "schema/shop.cedarschema"
    with zipfile.ZipFile(build(tmp_path / "l.zip", "--policies", policies, "--schema", schema)) as layer:
        decides = [name for name in layer.namelist() if name.startswith(("palisade/policies", "palisade/schema"))]
    assert decides == ["palisade/policies/one.cedar", "palisade/schema/shop.cedarschema"]


@pytest.mark.parametrize("function", [[], ["--authorizer", ROOT / "examples/authorizer"]], ids=["layer", "authorizer"])
def test_entities_and_tests_are_packed_and_read(tmp_path: Path, function: list[str | Path]) -> None:
    entities = tmp_path / "mine"
    entities.mkdir()
    (entities / "groups.json").write_text("[]")
    further = ["--entities", entities, "--tests", ROOT / "tests/policies"]
    with zipfile.ZipFile(build(tmp_path / "all.zip", *further, *function)) as packed:
        packed.extractall(tmp_path / "opt")
        below = "" if function else "palisade/"
        assert {f"{below}entities/groups.json", f"{below}tests/product.test.yaml"} <= set(packed.namelist())
    config = tmp_path / f"opt/{below}palisade.toml"
    checked = palisade("check", config)
    assert checked.returncode == 0, checked.stderr
    # Both are read: what is wrong with them is found.
    (config.parent / "entities/groups.json").write_text("{")
    assert "entities/groups.json" in palisade("check", config).stderr
    (config.parent / "entities/groups.json").write_text("[]")
    failing = config.parent / "tests/product.test.yaml"
    failing.write_text(failing.read_text().replace("expect: allow", "expect: deny"))
    assert "test-failed" in palisade("serve", config).stderr


def palisade(verb: str, config: Path) -> subprocess.CompletedProcess[str]:
    issuer = {
        "PALISADE__ISSUERS__0__ISSUER": "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEfGhI",
        "PALISADE__ISSUERS__0__CLIENT_IDS": '["test-client"]',
        "PALISADE__ISSUERS__0__TOKEN_USE": '["access"]',
        "PALISADE__ISSUERS__0__MACHINE_TYPE": "Machine",
        "PALISADE__POLICIES__TESTS_TIMEOUT": "30s",
        "PALISADE__SERVER__LISTEN": "127.0.0.1:0",
        "PALISADE__SERVER__OPS_LISTEN": "127.0.0.1:0",
    }
    command = [ROOT / os.environ["PALISADE_BIN"], "--config", config, verb]
    return subprocess.run(command, env=issuer, capture_output=True, text=True, timeout=60, check=False)


def settings(tmp_path: Path, text: str) -> str:
    """What is packed with entities and without tests."""
    config = tmp_path / "palisade.toml"
    config.write_text(text)
    built = module()
    try:
        return built.settings(config, argparse.Namespace(entities=tmp_path, tests=None)).decode()
    except built.Refused as fault:
        return str(fault)


NAMED = 'dir = "policies"\nentities = "entities"'
COMMENTED = 'dir = "policies"\n# entities = "entities"  # where there are any'
ELSEWHERE = '[issuers.attributes]\n# entities = "entities"\n'


@pytest.mark.parametrize(
    "policies",
    [f"[policies]\n{NAMED}", f"[policies]\n{COMMENTED}", f"[policies]\n{NAMED}\n{COMMENTED.splitlines()[1]}"],
    ids=["named", "commented", "both"],
)
def test_entities_are_named_among_the_policies_and_the_other_tables_stay_as_they_are(tmp_path, policies) -> None:
    for text in (f"{ELSEWHERE}{policies}", f"{policies}\n{ELSEWHERE}"):
        packed = settings(tmp_path, text)
        assert tomllib.loads(packed)["policies"] == {"dir": "policies", "entities": "entities"}
        assert ELSEWHERE in packed


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('namespace = "Shop"\n', 'does not say `entities = "entities"` under `[policies]`'),
        (f"{ELSEWHERE}[policies]\n[log]\n", 'does not say `entities = "entities"` under `[policies]`'),
        ('[policies]\nentities = "stored"\n', 'does not say `entities = "entities"` under `[policies]`'),
        (f'[policies]\nentities = "stored"\n{COMMENTED}\n', 'does not say `entities = "entities"` under `[policies]`'),
        ("[policies\n", "is not TOML: Expected"),
        (f"[[policies]]\n{NAMED}\n", "is not a table"),
    ],
    ids=["nowhere", "elsewhere", "otherwise", "twice", "broken", "tables"],
)
def test_entities_that_no_setting_names_make_no_layer(tmp_path: Path, text: str, fault: str) -> None:
    assert fault in settings(tmp_path, text)


def test_the_authorizer_is_packed_as_a_function_of_its_own(tmp_path: Path) -> None:
    example = ROOT / "examples/authorizer"
    with zipfile.ZipFile(build(tmp_path / "f.zip", "--authorizer", example)) as function:
        modes = {entry.filename: entry.external_attr >> 16 & 0o777 for entry in function.infolist()}
        assert function.read("routes.toml") == (example / "routes.toml").read_bytes()
    assert {name for name, mode in modes.items() if mode == 0o755} == {"palisade", "bootstrap"}
    assert {"palisade.toml", "policies/product.cedar", "schema/shop.cedarschema"} <= modes.keys()


def test_a_program_that_lambdas_glibc_is_too_old_for_makes_no_layer(tmp_path: Path) -> None:
    source, program = tmp_path / "newer.c", tmp_path / "newer"
    # `arc4random` came with glibc 2.36.
    source.write_text("#include <stdlib.h>\nint main(void) { return arc4random() == 0; }\n")
    subprocess.run(["cc", "-o", program, source], check=True)
    built = module()
    with pytest.raises(built.Refused, match="GLIBC_2.36"):
        built.runs_in_lambda(program)
    with pytest.raises(built.Refused, match="no program for x86_64"):
        built.runs_in_lambda(source)
    built.runs_in_lambda(ROOT / os.environ["PALISADE_BIN"])


def test_the_layer_starts_with_the_settings_of_its_readme(tmp_path: Path) -> None:
    """Unpacked elsewhere than in /opt, and on free ports; everything else is as Lambda has it."""
    with zipfile.ZipFile(build(tmp_path / "layer.zip")) as layer:
        layer.extractall(tmp_path / "opt")
    (tmp_path / "opt/bin/palisade").chmod(0o755)
    readme = (ROOT / "layer/README.md").read_text()
    rows = [line.split("|")[1:3] for line in readme.splitlines() if line.startswith("| `PALISADE__")]
    variables = {name.strip(" `"): value.strip(" `") for name, value in rows}
    assert len(variables) == 3
    # Nothing answers there: the layer is ready all the same.
    variables["PALISADE__ISSUERS__0__JWKS_FILE"] = "missing.json"
    with lambda_api() as (api, calls):
        extension = subprocess.Popen(
            [tmp_path / "opt/bin/palisade", "lambda-extension", "--config", tmp_path / "opt/palisade/palisade.toml"],
            env={
                "AWS_LAMBDA_RUNTIME_API": api,
                "PALISADE__SERVER__LISTEN": "127.0.0.1:0",
                "PALISADE__SERVER__OPS_LISTEN": "127.0.0.1:0",
                **variables,
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        _, said = extension.communicate(timeout=60)
    assert extension.returncode == 0, said.decode()
    assert calls == ["register", "event/next"]


class lambda_api:
    """The Extensions API: it accepts whoever registers, and ends the environment at once."""

    def __enter__(self) -> tuple[str, list[str]]:
        calls: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", 0)))
                calls.append(self.path.removeprefix("/2020-01-01/extension/"))
                event = {"eventType": "SHUTDOWN", "shutdownReason": "SPINDOWN", "deadlineMs": 0}
                body = json.dumps(event if self.command == "GET" else {}).encode()
                self.send_response(200)
                self.send_header("Lambda-Extension-Identifier", "e-1")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = answer

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return f"127.0.0.1:{self.server.server_port}", calls

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
