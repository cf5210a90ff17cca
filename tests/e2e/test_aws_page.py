"""docs/aws.md says what is so: its commands are run, in their order and in one shell, and print what it shows.

AWS is moto, and what moto cannot play is in the tests' own hands: see `NOT_RUN`, stack.py and http_api.py. What Lambda
starts as an extension runs as a service. The rest are the programs themselves: make, the AWS CLI, SAM's, curl, Node
and Palisade.
"""

import os
import re
import signal
import subprocess
import threading
import zipfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

import template
from artifacts import Checkout
from functions import Node, aws_environment
from http_api import HttpApi
from programs import program
from service import REPOSITORY, Beside, binary
from stack import Stack

PAGE = (REPOSITORY / "docs/aws.md").read_text()

# The line of the page that runs nowhere without an AWS account: moto's CloudFormation knows neither SAM nor Cognito nor
# HTTP APIs. `World` stands in for what it makes.
NOT_RUN = "sam deploy"

# Whose blocks are a project of their own.
PROJECT = "Coming from Verified Permissions"


@dataclass
class Block:
    section: str
    language: str
    note: str
    text: str
    shown: str | None = None
    ran: "Ran | None" = None

    def __str__(self):
        return f"{self.section}: {self.text.splitlines()[0]}"


@dataclass
class Ran:
    status: int
    output: str
    errors: str


def blocks() -> list[Block]:
    """Those that are a file or commands; what a page shows of the output stands with the commands before it."""
    found = []
    for section in PAGE.split("\n## "):
        heading = section.partition("\n")[0]
        for language, note, text in re.findall(r"^```(\w+) ?(.*)\n((?:.*\n)*?)```$", section, re.MULTILINE):
            if language == "text":
                found[-1].shown = text
            else:
                found.append(Block(heading, language, note, text))
    return found


BLOCKS = blocks()
WALK = [block for block in BLOCKS if block.section != PROJECT]
COMMANDS = [block for block in WALK if block.language == "sh"]


class Shell:
    """One bash for the whole walk, so that what one block sets the next one has."""

    # Of seconds, for one block: `sam build` of six functions is the longest, and takes some ten.
    PATIENCE = 120

    def __init__(self, folder, **environment):
        self._errors = folder / "errors.txt"
        with self._errors.open("w") as errors:
            self._bash = subprocess.Popen(
                ["bash", "-e"],
                cwd=folder,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )

    def run(self, commands: str) -> Ran:
        end = "-- the block has run --"
        self._errors.write_text("")
        self._bash.stdin.write(f"{commands}\necho\necho '{end}'\n")
        self._bash.stdin.flush()
        output = ""
        watchdog = threading.Timer(self.PATIENCE, self._end)
        watchdog.start()
        try:
            for line in self._bash.stdout:
                if line == f"{end}\n":
                    return Ran(0, output.removesuffix("\n"), self._errors.read_text())
                output += line
            return Ran(self._bash.wait(), output, self._errors.read_text())
        finally:
            watchdog.cancel()

    def _end(self):
        """With the programs that it waits for, since they hold its standard output open."""
        os.killpg(self._bash.pid, signal.SIGKILL)

    def close(self):
        self._bash.stdin.close()
        self._bash.wait(timeout=30)
        self._bash.stdout.close()


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    return Checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="module")
def environment(checkout, moto):
    programs = checkout.folder / "programs"
    programs.mkdir()
    for name in ("aws", "sam"):
        (programs / name).symlink_to(program(name))
    # What `make layer` leaves there when it builds. The page says how `palisade` comes to be found.
    built = checkout.folder / "target/release"
    built.mkdir(parents=True)
    (built / "palisade").symlink_to(binary())
    return {
        **checkout.environment(),
        **aws_environment(moto),
        "PATH": f"{programs}:{os.environ['PATH']}",
        # What `make layer` packs, so that it need not be built again.
        "BINARY": str(binary()),
    }


@pytest.fixture(scope="module")
def walk(checkout, environment, moto):
    """Every block of the walk, run."""
    shell = Shell(checkout.folder, **environment)
    world = World(checkout, moto)
    try:
        for block in WALK:
            if block.language != "sh":
                (checkout.folder / block.note).write_text(block.text)
                continue
            block.ran = shell.run(block.text.replace(f"{NOT_RUN}\n", ""))
            if block.ran.status != 0:
                break
            if "aws s3 cp" in block.text:
                world.palisade.until_another_revision()
            if NOT_RUN in block.text.splitlines():
                world.deploy()
                # The issuer is a URL of AWS, and moto has its keys.
                shell.run(f"export PALISADE__ISSUERS__0__JWKS_URL={world.jwks_url}")
        yield
    finally:
        world.running.close()
        shell.close()


class World:
    """What `sam deploy` makes: the stack, the API, and the functions with Palisade beside them."""

    def __init__(self, checkout, moto):
        self.checkout = checkout
        self.moto = moto
        self.running = ExitStack()

    def deploy(self):
        api = HttpApi()
        self.running.callback(api.close)
        stack = Stack(self.moto, api.url)
        self.running.callback(stack.delete)
        # All functions have the same environment, and in AWS each has a Palisade of its own.
        environment = {**stack.environment("createCategory"), **aws_environment(self.moto)}
        self.jwks_url = f"{self.moto}/{stack.outputs['Users']}/.well-known/jwks.json"
        settings = {
            **environment,
            "PALISADE__ISSUERS__0__JWKS_URL": self.jwks_url,
            "PALISADE__POLICIES__BUNDLE__COPY": str(self.checkout.folder / "bundle"),
            "PALISADE__POLICIES__BUNDLE__POLL": "1s",
        }
        self.palisade = Beside(self.layer() / "palisade/palisade.toml", settings)
        self.running.callback(self.palisade.stop)
        function = Node(self.checkout.artifact("createCategory"), PALISADE_URL=self.palisade.url, **environment)
        self.running.callback(function.close)
        api.invoke = function.invoke

    def layer(self) -> Path:
        """What Lambda lays out as /opt."""
        with zipfile.ZipFile(self.checkout.folder / template.layer()) as layer:
            layer.extractall(self.checkout.folder / "opt")
        return self.checkout.folder / "opt"


@pytest.mark.usefixtures("walk")
@pytest.mark.parametrize("block", COMMANDS, ids=str)
def test_a_block_runs_and_prints_what_the_page_shows(block):
    assert block.ran, "the block before it failed"
    assert block.ran.status == 0, block.ran
    if block.shown:
        pattern = re.escape(block.shown).replace("…", ".+")
        assert re.fullmatch(pattern, block.ran.output), block.ran


def test_a_block_that_hangs_is_ended(tmp_path, environment, monkeypatch):
    monkeypatch.setattr(Shell, "PATIENCE", 0.5)
    shell = Shell(tmp_path, **environment)
    assert shell.run("sleep 600 | cat").status == -signal.SIGKILL
    shell.close()


def test_the_project_from_verified_permissions_is_good(tmp_path, checkout, environment):
    project = [block for block in BLOCKS if block.section == PROJECT]
    for block in project:
        if block.language != "sh":
            path = tmp_path / block.note
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
    [commands] = [block.text for block in project if block.language == "sh"]
    environment = {**environment, "PATH": f"{checkout.folder}/target/release:{environment['PATH']}"}
    result = subprocess.run(["bash", "-ec", commands], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "2 passed" in result.stdout
