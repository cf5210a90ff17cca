"""What `palisade check --format sarif` writes, judged by the schema of the standard."""

import json
import shutil
import subprocess

import pytest
from jsonschema import Draft4Validator, FormatChecker

from service import REPOSITORY, binary

SCHEMA = REPOSITORY / "tests/e2e/node_modules/@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json"

PLACES = """
// Ein naïver Kommentar: é, 漢字, 😀
@id("short") permit (principal in Group::"größer", action == Shop::Action::"readProduct", resource);

@palisade_allow("missing-id: it has always been so; shadowed: on purpose")
permit (principal in Shop::Group::"admin", action == Shop::Action::"readProduct", resource);
"""


@pytest.fixture
def project(tmp_path):
    """The shop in a folder of a git repository, with a space in its name."""
    (tmp_path / ".git").mkdir()
    folder = tmp_path / "my shop"
    for name in ("policies", "schema"):
        shutil.copytree(REPOSITORY / name, folder / name)
    (folder / "palisade.toml").write_text('namespace = "Shop"\n')
    return folder


def check(folder):
    run = subprocess.run(
        [binary(), "check", "--format", "sarif"], cwd=folder, capture_output=True, text=True, timeout=60
    )
    return json.loads(run.stdout)


def errors(log):
    validator = Draft4Validator(json.loads(SCHEMA.read_text()), format_checker=FormatChecker())
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(log)]


def test_a_log_without_results_is_valid(project):
    log = check(project)
    assert errors(log) == []
    assert log["runs"][0]["results"] == []


def test_results_fixes_and_suppressions_are_valid(project):
    (project / "policies/places.cedar").write_text(PLACES)
    log = check(project)
    assert errors(log) == []
    results = log["runs"][0]["results"]
    assert {result["ruleId"] for result in results} == {"short-type-name", "missing-id", "shadowed"}
    [fixed] = [result for result in results if "fixes" in result]
    region = fixed["locations"][0]["physicalLocation"]["region"]
    assert (region["startLine"], region["startColumn"], region["endColumn"]) == (3, 35, 40)
    suppressed = {r["ruleId"]: r["suppressions"][0]["justification"] for r in results if "suppressions" in r}
    assert suppressed == {"missing-id": "it has always been so", "shadowed": "on purpose"}
    rules = log["runs"][0]["tool"]["driver"]["rules"]
    assert all(rules[result["ruleIndex"]]["id"] == result["ruleId"] for result in results)


def test_files_are_named_from_the_root_of_the_repository(project):
    (project / "policies/places.cedar").write_text(PLACES)
    locations = [result["locations"][0]["physicalLocation"] for result in check(project)["runs"][0]["results"]]
    assert {location["artifactLocation"]["uri"] for location in locations} == {
        "my%20shop/policies/places.cedar"
    }


def test_a_fingerprint_outlives_lines_that_are_put_before_it(project):
    places = project / "policies/places.cedar"

    def fingerprints(text):
        places.write_text(text)
        return [result["partialFingerprints"] for result in check(project)["runs"][0]["results"]]

    before = fingerprints(PLACES)
    assert fingerprints("// one more line\n" + PLACES) == before
    assert len({str(fingerprint) for fingerprint in before}) == len(before)


def test_an_error_that_is_no_rule_is_valid_too(project):
    (project / "policies/broken.cedar").write_text("permit (principal, action resource);\n")
    log = check(project)
    assert errors(log) == []
    assert [result["ruleId"] for result in log["runs"][0]["results"]] == ["syntax"]
