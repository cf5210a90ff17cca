"""Driving one server with `wrk`: what is sent, and what came of it."""

import json
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

LUA = Path(__file__).with_name("request.lua")
CONNECTIONS = 64
# Seconds that an answer may take before it counts as broken.
TIMEOUT = 10

# Widths of what the script puts in.
ID, IP = "00000000", "10.100.100.100"

# As many ids as eight digits have.
ANY_ID = 10**8


class Failed(Exception):
    """A measurement that came to nothing, and why."""


@dataclass(frozen=True)
class Question:
    """Requests to one path. What stands in curly braces differs in each of them: see request.lua."""

    path: str
    body: str
    tokens: list[str]
    ids: int = ANY_ID
    # Decisions that one request asks for.
    decisions: int = 1
    # Where the token stands; a peer may want it elsewhere, or not at all.
    header: str = "Authorization: Bearer {token}\r\n"

    @cached_property
    def template(self) -> str:
        length = len(self.filled(self.body).encode())
        return (
            f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"{self.header}Content-Length: {length}\r\n\r\n{self.body}"
        )

    def once(self) -> tuple[str, bytes, dict[str, str]]:
        """The path, the body and the headers of one such request."""
        headers = dict(line.split(": ", 1) for line in self.filled(self.header).splitlines())
        return self.path, self.filled(self.body).encode(), headers | {"Content-Type": "application/json"}

    def filled(self, text: str) -> str:
        for place, filling in {"{id}": ID, "{again}": ID, "{ip}": IP, "{token}": self.tokens[0]}.items():
            text = text.replace(place, filling)
        return text


@dataclass(frozen=True)
class Load:
    """What a run came to. Times are in milliseconds."""

    requests: int
    seconds: float
    p50: float
    p99: float
    slowest: float
    refused: int

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


class Wrk:
    """A run that was started, with one thread; `load` waits for its end. `pause` is in milliseconds."""

    def __init__(
        self, port: int, question: Question, seconds: int, connections: int = CONNECTIONS, pause: int = 0
    ) -> None:
        self.folder = TemporaryDirectory()
        template, tokens = Path(self.folder.name, "request"), Path(self.folder.name, "tokens")
        template.write_text(question.template, newline="")
        tokens.write_text("\n".join(question.tokens))
        self.seconds = seconds
        options = f"-t1 -c{connections} -d{seconds}s --timeout {TIMEOUT}s".split()
        given = [str(template), str(tokens), str(question.ids), str(pause)]
        self.process = subprocess.Popen(
            ["wrk", *options, "-s", str(LUA), f"http://127.0.0.1:{port}", "--", *given],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def load(self, may_refuse: bool = False) -> Load:
        try:
            printed, _ = self.process.communicate(timeout=self.seconds + 30)
        finally:
            self.process.kill()
            self.folder.cleanup()
        try:
            came = json.loads(next(line for line in printed.splitlines() if line.startswith("{")))
        except StopIteration:
            raise Failed(f"wrk came to nothing:\n{printed}") from None
        if came["broken"] or (came["refused"] and not may_refuse) or not came["requests"]:
            raise Failed(f"not every request was answered with 200: {came}")
        return Load(
            requests=came["requests"],
            seconds=came["duration"] / 1e6,
            p50=came["p50"] / 1e3,
            p99=came["p99"] / 1e3,
            slowest=came["slowest"] / 1e3,
            refused=came["refused"],
        )


def drive(port: int, question: Question, seconds: int, connections: int = CONNECTIONS) -> Load:
    """As fast as it goes."""
    return Wrk(port, question, seconds, connections).load()


def steady(port: int, question: Question, seconds: int) -> Load:
    """Some 2,500 requests a second, which leaves most of the machine to others."""
    return Wrk(port, question, seconds, connections=16, pause=5).load()
