"""What `palisade init` writes, judged by readers that others wrote: GitHub's schema of workflows, a security
linter for them, a JSON Schema validator, and sh."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from service import binary

TOOLS = Path(sys.executable).parent


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    folder = tmp_path_factory.mktemp("init")
    subprocess.run([binary(), "init", folder], check=True, capture_output=True)
    return folder


def judge(*command, folder):
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_github_would_take_the_workflow(repository):
    workflow = ".github/workflows/policies.yml"
    judge(TOOLS / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", workflow, folder=repository)


def test_a_pull_request_gets_no_hold_of_the_workflow(repository):
    judge(TOOLS / "zizmor", "--offline", "--quiet", ".", folder=repository)


def test_a_text_of_a_pull_request_in_a_shell_line_would_be_found(repository, tmp_path):
    workflow = (repository / ".github/workflows/policies.yml").read_text()
    planted = workflow.replace("palisade fmt --check", "echo ${{ github.event.pull_request.title }}")
    assert planted != workflow
    folder = tmp_path / ".github/workflows"
    folder.mkdir(parents=True)
    (folder / "policies.yml").write_text(planted)
    result = subprocess.run([TOOLS / "zizmor", "--offline", "--quiet", tmp_path], capture_output=True, text=True)
    assert result.returncode != 0 and "template-injection" in result.stdout


def test_the_editor_knows_the_test_files(repository):
    settings = json.loads((repository / ".vscode/settings.json").read_text())
    json.loads((repository / ".vscode/extensions.json").read_text())
    ((schema, globs),) = settings["yaml.schemas"].items()
    schema = Draft202012Validator(json.loads((repository / schema).read_text()))
    files = {file for glob in globs for file in repository.rglob(glob)}
    assert {file.name for file in files} == {"documents.test.yaml", "fixtures.yaml"}
    for file in files:
        schema.validate(yaml.safe_load(file.read_text()))
        named = file.read_text().splitlines()[0].split("$schema=")[1]
        assert (file.parent / named).resolve() == repository / ".vscode/policy-test.schema.json"


@pytest.mark.parametrize("script", [".githooks/pre-commit", ".github/get-palisade.sh"])
def test_the_scripts_are_for_any_sh(repository, script):
    judge("sh", "-n", script, folder=repository)


def test_what_is_fetched_comes_from_the_image_that_is_named(repository, tmp_path):
    """`docker` and `sudo` are stood in for by scripts that write down what they are asked."""
    for name in ("docker", "sudo"):
        stand_in = tmp_path / name
        run = '"$@"' if name == "sudo" else 'if [ "$1" = create ]; then echo "container"; fi'
        stand_in.write_text(f'#!/bin/sh\necho "{name} $*" >> {tmp_path}/asked\n{run}\n')
        stand_in.chmod(0o755)

    def fetch(image):
        environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "PALISADE_IMAGE": image}
        script = repository / ".github/get-palisade.sh"
        return subprocess.run([script], env=environment, capture_output=True, text=True)

    nothing = fetch("")
    assert nothing.returncode == 1 and nothing.stdout.startswith("::error file=.github/workflows/policies.yml::")
    assert fetch("registry.example/palisade@sha256:0; touch x").returncode == 0
    assert (tmp_path / "asked").read_text().splitlines() == [
        "docker create registry.example/palisade@sha256:0; touch x",
        "sudo docker cp container:/usr/local/bin/palisade /usr/local/bin/palisade",
        "docker cp container:/usr/local/bin/palisade /usr/local/bin/palisade",
        "docker rm container",
    ]
