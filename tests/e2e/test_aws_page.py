"""docs/aws.md says what is so: its commands are run, in their order and in one shell, and print what it shows.

AWS is moto, and what moto cannot play is in the tests' own hands: see `NOT_RUN`, stack.py and http_api.py. The rest
are the programs themselves: the AWS CLI, SAM's, curl, Node and Palisade.
"""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass

import pytest

import template
from cognito import REGION
from functions import HANDLERS, Node, aws_environment
from http_api import HttpApi
from programs import program
from service import REPOSITORY, Beside, binary, free_ports
from stack import Stack

PAGE = (REPOSITORY / "docs/aws.md").read_text()

# Lines of the page that run nowhere without an AWS account, and what stands in.
NOT_RUN = {
    "make layer": "the release build takes minutes; the layer has tests of its own, and the walk needs no more than its program",
    "sam deploy": "moto's CloudFormation knows neither SAM nor Cognito nor HTTP APIs: `Stack` and `HttpApi` stand in",
}

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
            )

    def run(self, commands: str) -> Ran:
        end = "-- the block has run --"
        self._errors.write_text("")
        self._bash.stdin.write(f"{commands}\necho\necho '{end}'\n")
        self._bash.stdin.flush()
        output = ""
        for line in self._bash.stdout:
            if line == f"{end}\n":
                return Ran(0, output.removesuffix("\n"), self._errors.read_text())
            output += line
        return Ran(self._bash.wait(), output, self._errors.read_text())

    def close(self):
        self._bash.stdin.close()
        self._bash.wait(timeout=30)
        self._bash.stdout.close()


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """What the walk uses of the repository."""
    folder = tmp_path_factory.mktemp("checkout")
    ignored = shutil.ignore_patterns("node_modules", ".aws-sam", "test")
    for part in ("examples/sam", "examples/handlers", "clients/node", "policies", "schema"):
        shutil.copytree(REPOSITORY / part, folder / part, ignore=ignored)
    shutil.copy(REPOSITORY / "palisade.toml", folder)
    return folder


@pytest.fixture(scope="module")
def environment(checkout, moto):
    programs = checkout / "programs"
    programs.mkdir()
    paths = {"palisade": binary(), "aws": program("aws"), "sam": program("sam")}
    for name, path in paths.items():
        (programs / name).symlink_to(path)
    [nowhere] = free_ports(1)
    return {
        **aws_environment(moto),
        "AWS_DEFAULT_REGION": REGION,
        "AWS_PAGER": "",
        "HOME": str(checkout),
        "PATH": f"{programs}:{os.environ['PATH']}",
        "SAM_CLI_TELEMETRY": "0",
        "npm_config_registry": f"http://127.0.0.1:{nowhere}",
    }


@pytest.fixture(scope="module")
def walk(checkout, environment, moto):
    """Every block of the walk, run."""
    shell = Shell(checkout, **environment)
    world = World(checkout, moto)
    try:
        for block in WALK:
            if block.language != "sh":
                (checkout / block.note).write_text(block.text)
                continue
            lines = block.text.splitlines()
            block.ran = shell.run("\n".join(line for line in lines if line not in NOT_RUN))
            if block.ran.status != 0:
                break
            if "aws s3 cp" in block.text:
                world.palisade.until_another_revision()
            if "sam deploy" in lines:
                world.deploy()
                # The issuer is a URL of AWS, and moto has its keys.
                shell.run(f"export PALISADE__ISSUERS__0__JWKS_URL={world.jwks_url}")
        yield
    finally:
        world.close()
        shell.close()


class World:
    """What `sam deploy` makes: the stack, the API, and the functions with Palisade beside them."""

    def __init__(self, checkout, moto):
        self.checkout = checkout
        self.moto = moto
        self.running = []

    def deploy(self):
        api = HttpApi()
        self.running.append(api.close)
        stack = Stack(self.moto, api.url)
        self.running.append(stack.delete)
        # All functions have the same environment, and in AWS each has a Palisade of its own.
        environment = {**stack.environment("createCategory"), **aws_environment(self.moto)}
        self.jwks_url = f"{self.moto}/{stack.outputs['Users']}/.well-known/jwks.json"
        settings = {
            **environment,
            "PALISADE__ISSUERS__0__JWKS_URL": self.jwks_url,
            "PALISADE__POLICIES__BUNDLE__COPY": str(self.checkout / "bundle"),
            "PALISADE__POLICIES__BUNDLE__POLL": "1s",
        }
        self.palisade = Beside(self.checkout, self.checkout / "palisade.toml", settings)
        self.running.append(self.palisade.stop)
        api.invoke = self.function("createCategory", PALISADE_URL=self.palisade.url, **environment).invoke

    def function(self, name, **environment) -> Node:
        built = self.checkout / "examples/sam/.aws-sam/build"
        beside = self.checkout / "node_modules"
        beside.mkdir()
        for scope in ("@aws-sdk", "@smithy"):
            (beside / scope).symlink_to(HANDLERS / "node_modules" / scope)
        node = Node(built / template.functions()[name]["Name"], **environment)
        self.running.append(lambda: node.__exit__())
        return node

    def close(self):
        for stop in reversed(self.running):
            stop()


@pytest.mark.usefixtures("walk")
@pytest.mark.parametrize("block", COMMANDS, ids=str)
def test_a_block_runs_and_prints_what_the_page_shows(block):
    assert block.ran, "the block before it failed"
    assert block.ran.status == 0, block.ran
    if block.shown:
        pattern = re.escape(block.shown).replace("…", ".+")
        assert re.fullmatch(pattern, block.ran.output), block.ran


def test_what_is_not_run_is_on_the_page():
    lines = [line for block in COMMANDS for line in block.text.splitlines()]
    assert set(NOT_RUN) <= set(lines)


def test_the_project_from_verified_permissions_is_good(tmp_path, environment):
    project = [block for block in BLOCKS if block.section == PROJECT]
    for block in project:
        if block.language != "sh":
            path = tmp_path / block.note
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
    [commands] = [block.text for block in project if block.language == "sh"]
    result = subprocess.run(
        ["bash", "-ec", commands], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "2 passed" in result.stdout
