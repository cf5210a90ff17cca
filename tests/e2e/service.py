"""Palisade as an operator runs it: the binary, a palisade.toml, a folder of policies."""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def binary() -> Path:
    if named := os.environ.get("PALISADE_BIN"):
        return Path(named).resolve()
    built = [REPOSITORY / "target" / profile / "palisade" for profile in ("release", "debug")]
    for path in built:
        if path.exists():
            return path
    raise FileNotFoundError("no palisade binary: `make release`, or set PALISADE_BIN")


class Service:
    """A `palisade serve` on free loopback ports, in a folder that takes its program log."""

    def __init__(self, folder: Path):
        port, ops_port = free_ports(2)
        self.listen, self.ops_listen = f"127.0.0.1:{port}", f"127.0.0.1:{ops_port}"
        self.url, self.ops_url = f"http://{self.listen}", f"http://{self.ops_listen}"
        self.program_log = folder / "palisade.err"

    def start(self, config: Path, environment: dict[str, str] | None = None):
        with self.program_log.open("wb") as stderr:
            self.process = subprocess.Popen(
                [binary(), "serve", "--config", config],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
            )

    def settings(self, section: str, policies: str, pool, token_use=("access",), explain=False) -> str:
        """The shop's, for tokens of a pool; where its policies are is said by `policies`, in that section."""
        return f"""
namespace = "Shop"

[server]
listen = "{self.listen}"
ops_listen = "{self.ops_listen}"
drain = "0s"
explain = {json.dumps(explain)}

[{section}]
{policies}

[[issuers]]
issuer = "{pool.issuer}"
jwks_url = "{pool.jwks_url}"
client_ids = ["{pool.client_id}"]
token_use = {json.dumps(list(token_use))}

"""

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def readiness(self) -> dict:
        """What /readyz says, ready or not; nothing while nobody listens."""
        try:
            return reply(f"{self.ops_url}/readyz").body
        except OSError:
            return {}

    def metric(self, line: str) -> float:
        """The value at a line of /metrics, which is 0 while there is none."""
        with urllib.request.urlopen(f"{self.ops_url}/metrics", timeout=5) as response:
            lines = response.read().decode().splitlines()
        return next((float(there.removeprefix(line)) for there in lines if there.startswith(line)), 0)

    def ask(self, path: str, token: str | None, body: dict) -> "Reply":
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), method="POST")
        request.add_header("Content-Type", "application/json")
        if token is not None:
            request.add_header("Authorization", f"Bearer {token}")
        return reply(request)

    def until(self, holds, what="what the test waits for", seconds=20):
        deadline = time.monotonic() + seconds
        while not (held := holds()):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"palisade is not {what}:\n{self.program_log.read_text()}")
            time.sleep(0.05)
        return held


class Palisade(Service):
    """A running service, with its own copy of the shop's policies."""

    def __init__(self, folder: Path, pool, token_use=("access",), explain=False):
        super().__init__(folder)
        self.policies = folder / "policies"
        self.log = folder / "decisions.jsonl"
        shutil.copytree(REPOSITORY / "policies", self.policies)
        policies = f'dir = "policies"\nschema = {json.dumps(str(REPOSITORY / "schema"))}'
        settings = self.settings("policies", policies, pool, token_use, explain)
        config = folder / "palisade.toml"
        config.write_text(f'{settings}[audit]\nsink = "file"\npath = "{self.log.name}"\n')
        self.start(config)
        try:
            self.until(lambda: self.readiness().get("status") == "ok", "ready")
        except BaseException:
            self.stop()
            raise

    @contextmanager
    def with_policy(self, name: str, text: str):
        """Adds a policy file to the running service, and takes it away again."""
        path = self.policies / name
        with self._reload():
            path.write_text(text)
        try:
            yield
        finally:
            with self._reload():
                path.unlink()

    @contextmanager
    def _reload(self):
        before = self.readiness()["revision"]
        yield
        self.until(lambda: self.readiness()["revision"] != before, "serving the new policies")

    def records(self) -> list[dict]:
        """The decision log."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]


class Beside(Service):
    """A service with the settings of a function that it stands beside; its policies may come later."""

    def __init__(self, config: Path, settings: dict[str, str]):
        super().__init__(config.parent)
        self.revision = None
        listen = {"PALISADE__SERVER__LISTEN": self.listen, "PALISADE__SERVER__OPS_LISTEN": self.ops_listen}
        self.start(config, {**settings, **listen})

    def until_another_revision(self):
        def is_another():
            now = self.readiness().get("revision")
            return now not in (None, self.revision) and now

        self.revision = self.until(is_another, "serving the new policies")


class Reply:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.text = response.read().decode()
        self.body = json.loads(self.text)


def reply(request: str | urllib.request.Request) -> Reply:
    """What a server answers, whatever its status."""
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return Reply(response)
    except urllib.error.HTTPError as response:
        with response:
            return Reply(response)


def free_ports(count: int) -> list[int]:
    # All are held until all are known, so that they differ.
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in sockets]
    for listener in sockets:
        listener.close()
    return ports
