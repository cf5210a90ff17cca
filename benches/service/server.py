"""A server on loopback: started, ready, looked at from outside, and stopped."""

import http.client
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from wrk import Failed, Question

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("PALISADE_BIN", ROOT / "target/release/palisade")).resolve()
FIXED_JSON = Path(os.environ.get("FIXED_JSON_BIN", ROOT / "target/release/examples/fixed_json")).resolve()

TICKS = os.sysconf("SC_CLK_TCK")
START_SECONDS = 120

# How long memory must have stayed the same, nearly, for it to have settled, and the longest wait for it.
STILL_SECONDS, SETTLE_SECONDS = 3, 20


class Server:
    """A process that answers on `port`. It is stopped, not ended, while another one is driven."""

    def __init__(
        self,
        name: str,
        command: list[str | Path],
        port: int,
        ready: Callable[[], bool],
        *,
        folder: Path | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.name, self.port = name, port
        self.errors = subprocess.DEVNULL if folder is None else (folder / "program.log").open("wb")
        began = time.monotonic()
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=self.errors,
            cwd=folder,
            env=os.environ | (environment or {}),
        )
        while not ready():
            if self.process.poll() is not None or time.monotonic() - began > START_SECONDS:
                self.end()
                said = "" if folder is None else (folder / "program.log").read_text()[-2000:]
                raise Failed(f"{name} did not start:\n{said}")
            time.sleep(0.0005)
        self.seconds_to_ready = time.monotonic() - began

    def end(self) -> None:
        self.wake()
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def sleep(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def cpu(self) -> float:
        """Seconds of processor time, of all threads there ever were."""
        fields = self.proc("stat").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def resident(self, at_most: bool = False) -> float:
        """MiB; or the most there ever were."""
        name = "VmHWM" if at_most else "VmRSS"
        (size,) = re.findall(rf"{name}:\s+(\d+)", self.proc("status"))
        return int(size) / 1024

    def settled(self) -> float:
        """The resident memory, once it no longer changes."""
        deadline, last, since = time.monotonic() + SETTLE_SECONDS, self.resident(), time.monotonic()
        while (now := time.monotonic()) < deadline and now - since < STILL_SECONDS:
            time.sleep(0.1)
            size = self.resident()
            if abs(size - last) > 0.01 * last:
                last, since = size, time.monotonic()
        return self.resident()

    def proc(self, name: str) -> str:
        return Path(f"/proc/{self.process.pid}/{name}").read_text()

    def ask(self, question: Question) -> bytes:
        """One answer, which must be a 200."""
        with asking(self.port) as connection:
            return answer(connection, question)


class Palisade(Server):
    """The service with the project in `folder`, which names no addresses itself."""

    def __init__(self, folder: Path, name: str = "palisade", workers: int | None = None) -> None:
        port, self.ops_port = free_ports(2)
        self.log = folder / "decisions.jsonl"
        super().__init__(
            name,
            [BINARY, "--config", folder / "palisade.toml", "serve"],
            port,
            lambda: status(self.ops_port, "/readyz") == 200,
            folder=folder,
            environment={
                "PALISADE__SERVER__LISTEN": f"127.0.0.1:{port}",
                "PALISADE__SERVER__OPS_LISTEN": f"127.0.0.1:{self.ops_port}",
            }
            | ({} if workers is None else {"PALISADE__SERVER__WORKERS": str(workers)}),
        )

    def sleep(self) -> None:
        super().sleep()
        # Hundreds of megabytes a minute: a disk that fills up would be measured at the end.
        os.truncate(self.log, 0)

    def metric(self, name: str) -> float:
        """The sum over all labels."""
        with asking(self.ops_port) as connection:
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        return sum(
            float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if re.match(rf"{name}[ {{]", line)
        )


def fixed_json(workers: int | None = None) -> Server:
    """The ceiling: a handler that reads the same request and answers a constant."""
    (port,) = free_ports(1)
    return Server(
        "fixed JSON",
        [FIXED_JSON, f"127.0.0.1:{port}"],
        port,
        lambda: listens(port),
        environment=None if workers is None else {"TOKIO_WORKER_THREADS": str(workers)},
    )


@contextmanager
def asking(port: int) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        yield connection
    finally:
        connection.close()


def answer(connection: http.client.HTTPConnection, question: Question) -> bytes:
    path, body, headers = question.once()
    connection.request("POST", path, body, headers)
    response = connection.getresponse()
    text = response.read()
    if response.status != 200:
        raise Failed(f"{path} was answered with {response.status}: {text.decode()}")
    return text


def status(port: int, path: str) -> int | None:
    """What a GET is answered with; None where nobody answers."""
    try:
        with asking(port) as connection:
            connection.request("GET", path)
            return connection.getresponse().status
    except OSError:
        return None


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def free_ports(count: int) -> list[int]:
    # All are held until all are known, so that they differ.
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in sockets]
    for listener in sockets:
        listener.close()
    return ports
