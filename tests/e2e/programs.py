"""The programs of AWS that the tests run: each from the environment that has it."""

import os
import sys
from pathlib import Path

from service import REPOSITORY

# SAM's CLI and the AWS CLI want another botocore than these tests.
PROGRAMS = Path(os.environ.get("AWS_PROGRAMS", REPOSITORY / "target/aws")).resolve() / "bin"


def program(name: str) -> Path:
    for folder in (PROGRAMS, Path(sys.executable).parent):
        if (folder / name).exists():
            return folder / name
    raise FileNotFoundError(f"no `{name}`: `make e2e` installs it, or set AWS_PROGRAMS to an environment that has it")
