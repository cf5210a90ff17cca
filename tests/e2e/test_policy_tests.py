"""Policy tests through readers that others wrote: a JSON Schema validator, YAML, and JUnit."""

import json
import os
import shutil
import subprocess
import xml.etree.ElementTree as ET

import pytest
import yaml
from jsonschema import Draft202012Validator
from junitparser import Error, Failure, JUnitXml, Skipped

from service import REPOSITORY, binary

SCHEMA = json.loads((REPOSITORY / "docs/schema/policy-test.schema.json").read_text())

FIXTURES = """
principals: { ana: { groups: [admin] }, bob: {}, batch: { machine: { scope: [a] } } }
resources: { toys: { type: Category, id: toys }, shop: { type: Catalog, id: shop } }
"""

GOOD = [
    "tests: [{ name: t, principals: [bob], actions: [readCategory], resources: [toys], expect: allow }]",
    "tests: [{ name: t, principals: [bob], actions: [updateCategory], resources: [toys], expect: deny,"
    " reason: no_permit, policies: [], now: '2026-11-23T09:30:00Z' }]",
    "tests: [{ name: t, resources: [shop], context: {}, may: { ana: [createCategory, listCategories], batch: [] } }]",
    "tests: [{ name: t, resources: [toys], contexts: { deleteCategory: { productCount: 1 } }, may: { bob: [readCategory, listProducts] } }]",
    "tests: [{ name: t, principals: [ana], actions: [deleteCategory], resources: [toys], refused: schema_mismatch }]",
    "tests: [{ name: t, skip: not yet }, { name: u, principals: [bob], actions: [listCategories], resources: [shop],"
    " expect: allow, policies_include: [users-view-categories], entities: [{ type: Category, id: c }] }]",
]

# Each is wrong by its form alone: the schema says so in an editor, and the program on the command line.
BAD = [
    "tests: []",
    "tests: [{ expect: allow }]",
    "tests: [{ name: t }]",
    "tests: [{ name: t, principals: [bob], actions: [readCategory], resources: [toys], expect: maybe }]",
    "tests: [{ name: t, principals: [bob], actions: [readCategory], resources: [], expect: allow }]",
    "tests: [{ name: t, principals: bob, actions: [readCategory], resources: [toys], expect: allow }]",
    "tests: [{ name: t, principals: [bob], actions: [readCategory], resources: [toys], expct: allow }]",
    "tests: [{ name: t, principals: [bob], actions: [readCategory], resources: [toys], expect: allow, refused: invalid_token }]",
    "tests: [{ name: t, principals: [bob], actions: [readCategory], resources: [toys], refused: invalid_token, policies: [] }]",
    "tests: [{ name: t, principals: [bob], resources: [toys], may: { bob: [] } }]",
    "tests: [{ name: t, resources: [toys], may: {} }]",
    "tests: [{ name: t, principals: [bob], actions: [readCategory], resources: [toys], expect: deny, errors: { p: broken } }]",
    "tests: [{ name: t, principals: [bob], actions: [readCategory], resources: [toys], expect: allow, context: { price: 1.5 } }]",
    "tests: [{ name: t, principals: [bob], actions: [readCategory], resources: [toys], expect: allow, context: { price: null } }]",
    "tests: [{ name: t, skip: x }]\nprinciples: {}",
]


@pytest.fixture
def project(tmp_path):
    shutil.copytree(REPOSITORY / "policies", tmp_path / "policies")
    shutil.copytree(REPOSITORY / "schema", tmp_path / "schema")
    (tmp_path / "palisade.toml").write_text('namespace = "Shop"\n')
    return tmp_path


def run(project, *arguments):
    environment = {"PATH": os.environ["PATH"]}
    return subprocess.run(
        [binary(), "test", *arguments], cwd=project, env=environment, capture_output=True, text=True, timeout=60
    )


def is_valid(text):
    return Draft202012Validator(SCHEMA).is_valid(yaml.safe_load(text))


def test_the_schema_is_one():
    Draft202012Validator.check_schema(SCHEMA)


def test_the_tests_of_the_shop_are_as_the_schema_says():
    files = sorted((REPOSITORY / "tests/policies").glob("*.yaml"))
    assert files
    for file in files:
        errors = [error.message for error in Draft202012Validator(SCHEMA).iter_errors(yaml.safe_load(file.read_text()))]
        assert errors == [], file


@pytest.mark.parametrize("text", GOOD)
def test_what_the_schema_takes_runs(project, text):
    assert is_valid(FIXTURES + text)
    (project / "a.test.yaml").write_text(FIXTURES + text)
    result = run(project, "a.test.yaml")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("text", BAD)
def test_what_the_schema_refuses_is_a_finding(project, text):
    assert not is_valid(FIXTURES + text)
    (project / "a.test.yaml").write_text(FIXTURES + text)
    result = run(project, "a.test.yaml", "--format", "json")
    assert result.returncode == 1, result.stdout + result.stderr
    findings = json.loads(result.stdout)["findings"]
    assert [finding["severity"] for finding in findings] == ["error"], findings


def test_cedars_form_is_part_of_the_schema(project):
    case = {
        "request": {
            "principal": 'Shop::User::"ana"',
            "action": 'Shop::Action::"readCategory"',
            "resource": 'Shop::Category::"toys"',
            "context": {"now": "2026-11-23T09:30:00Z"},
        },
        "entities": [],
        "decision": "allow",
        "reason": ["users-view-categories"],
        "num_errors": 0,
    }
    for wrong in ({"num_errors": -1}, {"decision": "Allow"}, {"resons": []}):
        assert not Draft202012Validator(SCHEMA).is_valid([case | wrong])
    assert Draft202012Validator(SCHEMA).is_valid([case])
    (project / "a.test.json").write_text(json.dumps([case]))
    assert run(project, "a.test.json").returncode == 0


# What `junit-10.xsd` of Jenkins' xUnit plugin allows: the attributes of each element, required ones first.
ELEMENTS = {
    "testsuites": ([], ["name", "time", "tests", "failures", "errors"], ["testsuite"]),
    "testsuite": (
        ["name", "tests", "failures", "errors"],
        ["group", "time", "skipped", "timestamp", "hostname", "id", "package", "file", "log", "url"],
        ["testsuite", "properties", "testcase", "system-out", "system-err"],
    ),
    "testcase": (["name"], ["time", "classname", "group"], ["skipped", "error", "failure", "system-out", "system-err"]),
    "failure": ([], ["type", "message"], []),
    "error": ([], ["type", "message"], []),
    "skipped": ([], ["type", "message"], []),
}


def conforms(element):
    required, optional, children = ELEMENTS[element.tag]
    assert set(required) <= set(element.attrib) <= set(required + optional), (element.tag, element.attrib)
    for child in element:
        assert child.tag in children, (element.tag, child.tag)
        conforms(child)


def test_junit_is_as_its_readers_expect_it(project):
    (project / "a.test.yaml").write_text(
        FIXTURES
        + """
tests:
  - { name: "<looks> & \\"more\\" \\e[31m]]>", principals: [bob], actions: [readCategory, updateCategory], resources: [toys], expect: allow }
  - { name: later, skip: "waits for <x>" }
  - { name: unknown, principals: [nobody], actions: [readCategory], resources: [toys], expect: allow }
"""
    )
    result = run(project, "a.test.yaml", "--junit", "results.xml")
    assert result.returncode == 1, result.stdout + result.stderr
    conforms(ET.parse(project / "results.xml").getroot())

    report = JUnitXml.fromfile(str(project / "results.xml"))
    (suite,) = report
    assert (suite.name, suite.tests, suite.failures, suite.errors, suite.skipped) == ("a.test.yaml", 4, 1, 1, 1)
    kinds = [type(case.result[0]) if case.result else None for case in suite]
    assert sorted(map(str, kinds)) == sorted(map(str, [None, Failure, Skipped, Error]))
    (failed,) = (case for case in suite if case.result and isinstance(case.result[0], Failure))
    assert failed.name.startswith('<looks> & "more"') and failed.name.endswith("bob updateCategory toys")
    assert failed.result[0].message == "expected allow, got deny (no_permit)"
