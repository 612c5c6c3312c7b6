"""The last part of `make bench`: each goal of speed, its measurement, and by how much it was missed and why.

It reads the numbers that the other parts stored (benchmarks/stored.py), and writes a table to docs/performance.md. With
ONLY or QUICK the document stays unchanged.
"""

import os
import re
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks import api, document
from benchmarks.report import Row, medians
from benchmarks.stored import stored

PARTS = ("compare", "stream", "lanes", "api", "growth")
RECORDING = re.compile(r"^recording: .* p95 ([\d.]+) ms", re.MULTILINE)
AT_LEAST, AT_MOST = "at least", "at most"


class Numbers:
    """The numbers that the parts of a run measured: medians of the rounds."""

    def __init__(self, parts: dict[str, dict[str, Any]]) -> None:
        self.parts = parts
        compared = parts.get("compare", {"measurements": {}, "floors": {}, "sign_in": ""})
        self.rows: dict[str, Row] = {name: medians(each) for name, each in compared["measurements"].items() if each}
        self.floors = {name: statistics.median(values) for name, values in compared["floors"].items()}
        self.sign_in: str = compared["sign_in"]

    def ours(self, figure: str) -> float | None:
        return self.rows.get("ours", {}).get(figure)

    def over_best(self, figure: str) -> float | None:
        """Return ours as a multiple of the fastest peer's."""
        mine, peers = self.ours(figure), self._peers(figure)
        return mine / max(peers) if mine is not None and peers else None

    def beyond_best(self, figure: str) -> float | None:
        """Return by how much ours is above the lowest peer's."""
        mine, peers = self.ours(figure), self._peers(figure)
        return mine - min(peers) if mine is not None and peers else None

    def over_stock(self, figure: str) -> float | None:
        mine, theirs = self.ours(figure), self.rows.get("stock", {}).get(figure)
        return mine / theirs if mine is not None and theirs else None

    def of_the_floor(self) -> float | None:
        mine, floor = self.ours("rate"), self.floors.get("smtp")
        return mine / floor if mine is not None and floor else None

    def recording(self) -> float | None:
        found = RECORDING.search(self.sign_in)
        return float(found[1]) if found else None

    def part(self, name: str, *path: str) -> float | None:
        """Return one number of a part, found by its keys."""
        found: Any = self.parts.get(name)
        for key in path:
            found = found.get(key) if found else None
        return None if found is None else float(found)

    def of_two_workers(self, stage: str) -> float | None:
        mine, two = self.part("growth", "rates", stage), self.part("growth", "rates", "empty")
        return mine / two if mine is not None and two else None

    def _peers(self, figure: str) -> list[float]:
        found = (row[figure] for name, row in self.rows.items() if name != "ours")
        return [value for value in found if value is not None]


@dataclass(frozen=True)
class Goal:
    """One goal of speed."""

    title: str
    kind: str
    """AT_LEAST or AT_MOST."""
    asked: float
    measured: Callable[[Numbers], float | None]
    profile: str = ""
    """The cause that a profile shows, for a goal that is missed."""

    def line(self, numbers: Numbers) -> list[str]:
        value = self.measured(numbers)
        return [
            self.title,
            f"{self.kind} {self.asked:,g}",
            "-" if value is None else _shown(value),
            self._verdict(value),
        ]

    def _verdict(self, value: float | None) -> str:
        if value is None:
            return "not measured"
        if value >= self.asked if self.kind == AT_LEAST else value <= self.asked:
            return "reached"
        apart = abs(value - self.asked)
        by = f"{apart / self.asked:.0%}" if self.asked else _shown(apart)
        return f"missed by {by}: {self.profile}"


AN_EMAIL = "an email takes 0.91 CPU-ms (workers 0.62, mail server 0.16, PostgreSQL 0.14); two cores have 0.5 at 4,000"
A_ROUND = "40 % of the processors are idle: a connection waits 50 ms, and then for the settlement of its email"
A_POST = "a post takes 3.8 CPU-ms (Python, in gunicorn, most of it), and the clients share the two cores"
A_HOP = "the pusher passes the message to a worker's process, whose claim waits for the disk"
THE_STREAM = "an enqueue and its email use up both cores at this rate"
PROCESSES = "ten processes and their batches share two cores"
GOALS = (
    Goal("emails/s from a full queue", AT_LEAST, 4000, lambda n: n.ours("rate"), AN_EMAIL),
    Goal("the same, times the fastest peer", AT_LEAST, 4.5, lambda n: n.over_best("rate"), "as above"),
    Goal("the same, share of a bare smtplib loop", AT_LEAST, 0.6, Numbers.of_the_floor, "as above"),
    Goal("emails/s at a 50 ms reply", AT_LEAST, 1600, lambda n: n.ours("rate_slow"), A_ROUND),
    Goal("the same, times the fastest peer", AT_LEAST, 6, lambda n: n.over_best("rate_slow"), "as above"),
    Goal("emails/s in a stream of 1,200 jobs/s", AT_LEAST, 1200, lambda n: n.part("stream", "rate"), THE_STREAM),
    Goal("pickup in this stream, p95 ms", AT_MOST, 100, lambda n: n.part("stream", "p95"), "a queue grows, as above"),
    Goal("API: posts/s, 8 connections", AT_LEAST, api.GOALS[8][0], lambda n: n.part("api", "ours 8", "rate"), A_POST),
    Goal("the same, p99 ms", AT_MOST, api.GOALS[8][1], lambda n: n.part("api", "ours 8", "p99"), "as above"),
    Goal(
        "API: posts/s, 128 connections",
        AT_LEAST,
        api.GOALS[128][0],
        lambda n: n.part("api", "ours 128", "rate"),
        "as above",
    ),
    Goal("the same, p99 ms", AT_MOST, api.GOALS[128][1], lambda n: n.part("api", "ours 128", "p99"), "as above"),
    Goal("pickup p50, ms beyond the best peer's", AT_MOST, 0, lambda n: n.beyond_best("p50"), A_HOP),
    Goal("pickup p95, ms beyond the best peer's", AT_MOST, 0, lambda n: n.beyond_best("p95"), "as above"),
    Goal("enqueue, times stock django-q2", AT_MOST, 0.8, lambda n: n.over_stock("enqueue"), "one round trip"),
    Goal("recording a sign-in, p95 ms", AT_MOST, 3, Numbers.recording, "three round trips, and Python"),
    Goal("memory of an idle cluster, MB", AT_MOST, 80, lambda n: n.ours("pss_idle"), "65 MB are code that all share"),
    Goal("4 workers, share of two workers' rate", AT_LEAST, 0.9, lambda n: n.of_two_workers("workers-4"), PROCESSES),
    Goal("8 workers, share of two workers' rate", AT_LEAST, 0.9, lambda n: n.of_two_workers("workers-8"), PROCESSES),
    Goal(
        "connections of 8 workers",
        AT_MOST,
        8,
        lambda n: n.part("growth", "connections", "workers-8"),
        "the reserved worker, the pusher and the watchdog have one each in addition",
    ),
    Goal("an urgent job behind 100,000, longest ms", AT_MOST, 1000, lambda n: n.part("lanes", "urgent"), "its claim"),
    Goal(
        "5,000,000 finished, 2,000,000 waiting: share of the rate with empty tables",
        AT_LEAST,
        0.97,
        lambda n: n.of_two_workers("finished-waiting"),
        "not profiled; the three drains had 68, 83 and 96 %",
    ),
)


def main() -> None:
    parts = {name: numbers for name in PARTS if (numbers := stored(name))}
    print(text := render(parts))
    if len(parts) == len(PARTS) and not (os.environ.get("ONLY") or os.environ.get("QUICK")):
        document.replace_section("goals", text)


def render(parts: dict[str, dict[str, Any]]) -> str:
    """Return the table of all goals, and the commits that the numbers belong to."""
    numbers = Numbers(parts)
    lines = [["goal, on two cores", "asked", "measured", ""], ["---", "---:", "---:", "---"]]
    lines += [goal.line(numbers) for goal in GOALS]
    commits = ", ".join(f"{name} {each['commit']}" for name, each in parts.items())
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + f"\n\nCommits: {commits}."


def _shown(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.2f}"


if __name__ == "__main__":
    main()
