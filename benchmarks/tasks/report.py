"""The measurements of a run as Markdown: medians of the rounds, and whether ours is ahead."""

import statistics
from dataclasses import dataclass
from typing import Any

from benchmarks.report import number, quantile, table
from benchmarks.tasks.contenders import named

Row = dict[str, float | None]


@dataclass(frozen=True)
class Goal:
    """A number in which ours is to be ahead."""

    title: str
    column: str
    more: bool  # whether more is better


GOALS = (
    Goal("drain of empty tasks, tasks/s", "empty", more=True),
    Goal("drain of tasks that write a row, tasks/s", "row", more=True),
    Goal("enqueue, tasks/s", "enqueue", more=True),
    Goal("pickup p50, ms", "p50", more=False),
    Goal("pickup p95, ms", "p95", more=False),
    Goal("recovery, s", "seconds", more=False),
)


def render(results: dict[str, Any]) -> str:
    """Return the whole report."""
    rows = {name: medians(rounds) for name, rounds in results["measurements"].items() if rounds}
    for name, recovery in results["recovery"].items():
        rows.setdefault(name, {}).update(recovery)
    heading = f"Medians of {results['rounds']} rounds; {results['jobs']} tasks of each kind in a drain."
    parts = [results["machine"], heading, _speed(rows), *results["missing"]]
    if results["recovery"]:
        parts.append(_recovery(rows, results["limit"]))
    if "ours" in rows and len(rows) > 1:
        parts.append(_goals(rows))
    return "\n\n".join(parts)


def medians(rounds: list[dict[str, Any]]) -> Row:
    """Return one row for a contender. The pickup times of all rounds are combined."""
    row: Row = {name: statistics.median(each[name] for each in rounds) for name in ("enqueue", "empty", "row", "cpu")}
    pickups = sorted(pickup for each in rounds for pickup in each["pickups"])
    return {**row, "p50": quantile(pickups, 50), "p95": quantile(pickups, 95)}


def _speed(rows: dict[str, Row]) -> str:
    columns = ("empty", "row", "cpu", "p50", "p95", "enqueue")
    heads = [
        "",
        "messages in",
        "empty tasks/s",
        "with a row, tasks/s",
        "CPU-ms a task",
        "pickup p50 ms",
        "p95",
        "enqueue, tasks/s",
    ]
    return table(
        heads,
        [
            [named(name).title, _place(name), *(number(row.get(column)) for column in columns)]
            for name, row in rows.items()
        ],
    )


def _place(name: str) -> str:
    return "PostgreSQL" if named(name).in_database else "Redis"


def _recovery(rows: dict[str, Row], limit: float) -> str:
    heads = [
        "kill -9 of all processes",
        "running then",
        "s until all were done",
        "not done",
        "done twice",
        "runs again",
    ]
    lines = [
        [
            named(name).title,
            f"{row['running']:.0f}",
            number(row["seconds"]) if row["seconds"] is not None else f"not within {limit:.0f} s",
            f"{row['lost']:.0f}",
            f"{row['twice']:.0f}",
            named(name).recovers,
        ]
        for name, row in rows.items()
        if row.get("running") is not None
    ]
    return table(heads, lines)


def _goals(rows: dict[str, Row]) -> str:
    """Compare ours with the best peer whose messages are in the database; in recovery, of those that ran a task."""
    peers = {name: row for name, row in rows.items() if name != "ours" and named(name).in_database}
    lines = []
    for goal in GOALS:
        ours = rows["ours"].get(goal.column)
        tried = {name: row for name, row in peers.items() if goal.column != "seconds" or row.get("running")}
        found = {name: value for name, row in tried.items() if (value := row.get(goal.column)) is not None}
        if ours is None or not peers:
            continue
        if not found:
            lines.append([goal.title, number(ours), "no other", "-", "ahead"])
            continue
        best = (max if goal.more else min)(found, key=lambda name: found[name])
        ahead = ours > found[best] if goal.more else ours < found[best]
        lines.append([goal.title, number(ours), named(best).title, number(found[best]), "ahead" if ahead else "BEHIND"])
    return table(["with messages in the database", "Notifier", "best other", "", ""], lines)
