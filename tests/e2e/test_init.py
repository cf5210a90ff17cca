"""What `palisade init` writes, judged by readers that others wrote: GitHub's schema of workflows, a security
linter for them, a JSON Schema validator, and sh. And its workflow, step by step in a merged pull request."""

import json
import os
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


def stand_in(folder, name, script):
    """A program that writes down what it is asked."""
    program = folder / name
    program.write_text(f'#!/bin/sh\necho "{name} $*" >> {folder}/asked\n{script}\n')
    program.chmod(0o755)


def asked(folder):
    return (folder / "asked").read_text().splitlines()


def test_what_is_fetched_comes_from_the_image_that_is_named(repository, tmp_path):
    stand_in(tmp_path, "docker", 'if [ "$1" = create ]; then echo "container"; fi')
    stand_in(tmp_path, "sudo", '"$@"')

    def fetch(image):
        environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "PALISADE_IMAGE": image}
        script = repository / ".github/get-palisade.sh"
        return subprocess.run([script], env=environment, capture_output=True, text=True)

    nothing = fetch("")
    assert nothing.returncode == 1 and nothing.stdout.startswith("::error file=.github/workflows/policies.yml::")
    assert fetch("registry.example/palisade@sha256:0; touch x").returncode == 0
    assert asked(tmp_path) == [
        "docker create registry.example/palisade@sha256:0; touch x",
        "sudo docker cp container:/usr/local/bin/palisade /usr/local/bin/palisade",
        "docker cp container:/usr/local/bin/palisade /usr/local/bin/palisade",
        "docker rm container",
    ]


class PullRequest:
    """The checkout of a pull request that lets users change documents in the place of admins, and the workflow's steps in it."""

    def __init__(self, folder):
        self.checkout, self.temp, self.programs = folder / "checkout", folder / "temp", folder / "programs"
        for made in (self.temp, self.programs):
            made.mkdir()
        (self.programs / "palisade").symlink_to(binary())
        self.summary = folder / "summary.md"
        subprocess.run([binary(), "init", self.checkout], check=True, capture_output=True)
        workflow = yaml.safe_load((self.checkout / ".github/workflows/policies.yml").read_text())
        self.jobs = workflow["jobs"]
        self.git("init", "--initial-branch", "main")
        self.commit("start")
        self.git("checkout", "-b", "change")
        policies = self.checkout / "policies/documents.cedar"
        before = 'principal in App::Group::"admin"'
        assert before in policies.read_text()
        policies.write_text(policies.read_text().replace(before, 'principal in App::Group::"user"'))
        self.commit("users")
        self.git("checkout", "main")
        self.git("merge", "--no-ff", "--message", "merge", "change")

    def git(self, *args):
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
        subprocess.run(["git", *identity, *args], cwd=self.checkout, check=True, capture_output=True)

    def commit(self, message):
        self.git("add", "--all")
        self.git("commit", "--message", message)

    def step(self, job, text):
        """Runs the step whose script holds this text, as a runner would."""
        (script,) = (step["run"] for step in self.jobs[job]["steps"] if text in step.get("run", ""))
        environment = {
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "HOME": str(self.temp),
            "RUNNER_TEMP": str(self.temp),
            "GITHUB_STEP_SUMMARY": str(self.summary),
            "GITHUB_OUTPUT": str(self.temp / "output"),
            "GITHUB_WORKSPACE": str(self.checkout),
            "GITHUB_REPOSITORY": "example/policies",
            "NUMBER": "7",
        }
        command = ["bash", "-e", "-c", script]
        return subprocess.run(command, cwd=self.checkout, env=environment, capture_output=True, text=True)


@pytest.fixture
def pull_request(tmp_path):
    return PullRequest(tmp_path)


def test_a_change_that_breaks_a_test_is_stopped_and_shown_at_its_line(pull_request):
    for script in ("palisade check", "palisade fmt"):
        result = pull_request.step("check", script)
        assert result.returncode == 0, result.stdout + result.stderr
    result = pull_request.step("check", "palisade test")
    assert result.returncode == 1
    assert "::error file=tests/policies/documents.test.yaml,line=" in result.stdout
    assert pull_request.summary.read_text().startswith("### Policy tests: ")


def test_what_the_change_does_is_said_in_the_summary_and_in_one_comment(pull_request):
    result = pull_request.step("diff", "HEAD^1 HEAD")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "newly allowed" in pull_request.summary.read_text()

    stand_in(pull_request.programs, "gh", "")
    assert pull_request.step("diff", "gh api").returncode == 0
    stand_in(pull_request.programs, "gh", 'case "$*" in *--paginate*) echo 41; echo 42 ;; esac')
    assert pull_request.step("diff", "gh api").returncode == 0
    comments = [line for line in asked(pull_request.programs) if "--method" in line]
    body = f"--field body=@{pull_request.temp}/comment.md --silent"
    assert comments == [
        f"gh api --method POST repos/example/policies/issues/7/comments {body}",
        f"gh api --method PATCH repos/example/policies/issues/comments/41 {body}",
    ]
    assert (pull_request.temp / "comment.md").read_text().startswith("<!-- palisade diff -->\n")


def test_what_is_too_long_for_a_comment_is_not_cut_but_pointed_to(pull_request):
    (pull_request.temp / "diff.md").write_text("<!-- palisade diff -->\n" + "<details>é\n" * 10_000)
    stand_in(pull_request.programs, "gh", "")
    assert pull_request.step("diff", "gh api").returncode == 0
    comment = (pull_request.temp / "comment.md").read_text()
    assert comment.startswith("<!-- palisade diff -->\n") and "the summary of this job" in comment
    assert "<details>" not in comment


def test_the_first_policies_of_a_repository_are_compared_with_nothing(pull_request):
    pull_request.git("checkout", "--orphan", "empty")
    pull_request.git("rm", "-r", "--cached", ".")
    pull_request.git("commit", "--allow-empty", "--message", "nothing")
    pull_request.commit("policies")
    assert pull_request.step("diff", "HEAD^1 HEAD").returncode == 0
    assert "There were no policies before." in pull_request.summary.read_text()
