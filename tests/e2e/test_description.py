"""The API as `openapi.json` describes it, tried by a program that knows nothing else of it."""

import subprocess
import sys
from pathlib import Path

import pytest

from service import Palisade

HERE = Path(__file__).parent

# Enough to reach every branch of the description, few enough for every run.
EXAMPLES = 40


@pytest.fixture(scope="module")
def palisade(tmp_path_factory, pool):
    service = Palisade(tmp_path_factory.mktemp("described"), pool, explain=True)
    yield service
    service.stop()


def test_the_decision_api_is_as_described(palisade, pool, tmp_path):
    bearer = f"--header=Authorization: Bearer {pool['alice'].access}"
    run(palisade, palisade.url, tmp_path, "--include-path-regex=^/authorize", bearer)
    outcomes = {record["outcome"] for record in palisade.records()}
    assert outcomes >= {"allow", "refused", "batch"}, outcomes


def test_the_operations_api_is_as_described(palisade, tmp_path):
    run(palisade, palisade.ops_url, tmp_path, "--exclude-path-regex=^/authorize")


def run(palisade, url, folder, *options):
    """Asks every operation for what its description allows and what it rules out: always the same."""
    command = [
        Path(sys.executable).with_name("schemathesis"),
        f"--config-file={HERE / 'schemathesis.toml'}",
        "run",
        f"{palisade.ops_url}/openapi.json",
        f"--url={url}",
        f"--max-examples={EXAMPLES}",
        "--generation-deterministic",
        "--continue-on-failure",
        "--no-color",
        *options,
    ]
    # What it remembers between runs goes with the folder.
    tried = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    lines = (line[:400] for line in tried.stdout.splitlines())
    assert tried.returncode == 0, "\n".join(lines) + tried.stderr
