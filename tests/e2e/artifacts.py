"""What `sam build` makes of the template, out of a checkout that has what it takes and nothing else."""

import os
import shutil
import subprocess
from pathlib import Path

import template
from cognito import REGION
from functions import HANDLERS
from programs import program
from service import REPOSITORY, free_ports


class Checkout:
    """The parts of the repository that the stack is made of, without anything that was installed."""

    def __init__(self, folder: Path):
        self.folder = folder
        ignored = shutil.ignore_patterns("node_modules", ".aws-sam", "test")
        for part in ("examples/sam", "examples/handlers", "clients/node", "layer", "policies", "schema"):
            shutil.copytree(REPOSITORY / part, folder / part, ignore=ignored)
        for part in ("Makefile", "palisade.toml"):
            shutil.copy(REPOSITORY / part, folder)
        # Lambda's runtime has the AWS SDK beside a function, and nothing else of ours.
        for scope in ("@aws-sdk", "@smithy"):
            (folder / "node_modules").mkdir(exist_ok=True)
            (folder / "node_modules" / scope).symlink_to(HANDLERS / "node_modules" / scope)

    def environment(self) -> dict[str, str]:
        """For commands in it: there is no registry and no way out to anywhere, and nothing of ours leaks in."""
        [port] = free_ports(1)
        nowhere = f"http://127.0.0.1:{port}"
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "AWS_DEFAULT_REGION": REGION,
            "SAM_CLI_TELEMETRY": "0",
            "https_proxy": nowhere,
            "npm_config_registry": nowhere,
        }

    def build(self):
        result = subprocess.run(
            [program("sam"), "build"],
            cwd=self.folder / "examples/sam",
            env=self.environment(),
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stdout + result.stderr

    def artifact(self, function: str) -> Path:
        """What a function consists of, once it is built."""
        return self.folder / "examples/sam/.aws-sam/build" / template.functions()[function]["Name"]
