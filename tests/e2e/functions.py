"""The shop's Lambda functions, run by Node as Lambda runs them: long-lived, warm from one event to the next."""

import json
import os
import subprocess
import threading
from pathlib import Path

from cognito import REGION
from service import REPOSITORY

RUNNER = Path(__file__).with_name("invoke.mjs")
# The one that the template names, whatever this machine has.
NODE = Path(__file__).with_name("node_modules") / "node-24/bin/node"
HANDLERS = REPOSITORY / "examples/handlers"


class Node:
    """One Node process: modules are loaded once and connections stay open, as in a warm function."""

    def __init__(self, handlers: Path = HANDLERS, **environment: str):
        self.process = subprocess.Popen(
            [NODE, RUNNER, handlers],
            # Nothing of ours leaks in, above all no credentials and no proxy.
            env={"PATH": os.environ["PATH"], **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=10)
        self.process.stdout.close()

    def invoke(self, function: str, event) -> "Response":
        """Raises where the function threw."""
        [response] = self.invoke_together([(function, event)])
        return response

    def invoke_together(self, events: list[tuple]) -> "list[Response]":
        """All at once, each a function and its event."""
        line = json.dumps([{"name": name, "event": event} for name, event in events])
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        watchdog = threading.Timer(30, self.process.kill)
        watchdog.start()
        line = self.process.stdout.readline()
        watchdog.cancel()
        if not line:
            raise RuntimeError("node ended, or had to be ended, without an answer")
        outcomes = json.loads(line)
        for outcome in outcomes:
            if "error" in outcome:
                raise RuntimeError(outcome["error"])
        return [Response(outcome["response"]) for outcome in outcomes]


class Response:
    """What a function answered to API Gateway."""

    def __init__(self, response: dict):
        self.status = response["statusCode"]
        self.headers = response["headers"]
        self.body = json.loads(response["body"])


def aws_environment(endpoint: str) -> dict[str, str]:
    """What Lambda puts into a function's environment, but for moto's address."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "e2e",
        "AWS_SECRET_ACCESS_KEY": "e2e",
    }
