"""The coverage of policies through the report that everybody makes of such files: `genhtml`, of lcov."""

import re
import shutil
import subprocess

import pytest

from service import REPOSITORY, binary

TESTS = """
principals: { ana: { groups: [admin] }, bob: {} }
resources: { toys: { type: Category, id: toys } }
tests:
  - { name: t, principals: [ana], actions: [deleteCategory], resources: [toys], context: { productCount: 0 }, expect: allow }
"""


@pytest.mark.skipif(shutil.which("genhtml") is None, reason="lcov is not installed")
def test_genhtml_takes_the_tracefile_without_a_complaint(tmp_path):
    for name in ["policies", "schema", "palisade.toml"]:
        copy = shutil.copytree if (REPOSITORY / name).is_dir() else shutil.copy
        copy(REPOSITORY / name, tmp_path / name)
    (tmp_path / "policies" / "one-line.cedar").write_text(
        '@id("one") forbid (principal, action, resource) unless { principal has groups || resource has owner };\n'
    )
    (tmp_path / "one.test.yaml").write_text(TESTS)
    traced = [binary(), "test", "one.test.yaml", "--coverage-format", "lcov", "--coverage-file", "policies.info"]
    subprocess.run(traced, cwd=tmp_path, check=True, capture_output=True)
    made = subprocess.run(
        ["genhtml", "--branch-coverage", "--output-directory", "html", "policies.info"],
        cwd=tmp_path, check=True, capture_output=True, text=True,
    )
    told = made.stdout + made.stderr
    assert not re.search(r"warning|error|inconsistent", told, re.IGNORECASE), told
    assert "functions" in told and "branches" in told, told
    assert (tmp_path / "html" / "index.html").exists()
