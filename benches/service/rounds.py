"""Interleaved rounds: every server is driven once a round, and what counts is the median of the rounds."""

import os
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass

from server import Server
from wrk import CONNECTIONS, Load, Question, drive


def number(name: str, default: int) -> int:
    """What the environment says: a whole number above 0."""
    text = os.environ.get(name, str(default))
    if not text.isdecimal() or int(text) == 0:
        sys.exit(f"`{name}={text}` is no whole number above 0")
    return int(text)


ROUNDS = number("ROUNDS", 5)
SECONDS = number("SECONDS", 3)


@dataclass(frozen=True)
class Sample:
    """What one server did in one round."""

    load: Load
    # Microseconds of the server's processor time for a request.
    cpu: float
    # Decisions a second.
    decisions: float


@dataclass(frozen=True)
class Contestant:
    """A server and what it is asked; `name` stands in the table."""

    name: str
    server: Server
    question: Question


@dataclass(frozen=True)
class Row:
    """A line of the table, as text."""

    what: str
    measured: str
    spread: str = ""


class Rounds:
    """The samples of all contestants, round by round."""

    def __init__(
        self, *contestants: Contestant, connections: int = CONNECTIONS, seconds: int = SECONDS
    ) -> None:
        self.contestants = contestants
        self.samples: dict[str, list[Sample]] = {each.name: [] for each in contestants}
        for each in contestants:
            each.server.sleep()
        for number in range(ROUNDS):
            # Forwards and backwards in turn: what the machine does meanwhile hits both ends alike.
            for each in contestants[:: 1 if number % 2 == 0 else -1]:
                self.samples[each.name].append(sample(each, connections, seconds))
        for each in contestants:
            each.server.wake()

    def ratio(self, what: str, ours: str, theirs: str, of: Callable[[Sample], float]) -> Row:
        ratios = [
            of(mine) / of(other) for mine, other in zip(self.samples[ours], self.samples[theirs], strict=True)
        ]
        return figure(what, ratios, times)

    def median(self, name: str, of: Callable[[Sample], float]) -> float:
        return statistics.median(of(each) for each in self.samples[name])

    def show(self) -> None:
        """The medians of each contestant, for whoever wants to know what the ratios are made of."""
        print(f"  {'':44}{'requests/s':>12}{'p50 ms':>9}{'p99 ms':>9}{'CPU us':>9}")
        for name in self.samples:
            figures = [self.median(name, pick) for pick in (rate, p50, p99, cpu)]
            print("  {:44}{:>12,.0f}{:>9.2f}{:>9.2f}{:>9.1f}".format(name, *figures), flush=True)


def sample(contestant: Contestant, connections: int, seconds: int) -> Sample:
    server, question = contestant.server, contestant.question
    server.wake()
    before = server.cpu()
    load = drive(server.port, question, seconds, connections)
    spent = server.cpu() - before
    server.sleep()
    return Sample(load, spent / load.requests * 1e6, load.rate * question.decisions)


def figure(what: str, values: list[float], show: Callable[[float], str]) -> Row:
    """The median, and from the least to the most."""
    spread = f"{show(min(values))} – {show(max(values))}" if len(values) > 1 else ""
    return Row(what, show(statistics.median(values)), spread)


def times(value: float) -> str:
    return f"{value:.2f} ×" if value < 10 else f"{value:.0f} ×"


def microseconds(value: float) -> str:
    return f"{value:.0f} µs"


def milliseconds(value: float) -> str:
    return f"{value:,.1f} ms" if value < 1000 else f"{value / 1000:,.2f} s"


def mebibytes(value: float) -> str:
    return f"{value:,.0f} MiB"


def rate(sample: Sample) -> float:
    return sample.load.rate


def p50(sample: Sample) -> float:
    return sample.load.p50


def p99(sample: Sample) -> float:
    return sample.load.p99


def cpu(sample: Sample) -> float:
    return sample.cpu


def decisions(sample: Sample) -> float:
    return sample.decisions
