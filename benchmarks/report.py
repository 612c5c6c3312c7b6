"""The measurements of a run as Markdown: medians of the rounds, and ratios to ours."""

import statistics
from typing import Any

from benchmarks.contenders import named

Row = dict[str, float | None]


def render(results: dict[str, Any]) -> str:
    """Return the whole report."""
    rows = {name: medians(rounds) for name, rounds in results["measurements"].items() if rounds}
    floors = {name: statistics.median(values) for name, values in results["floors"].items()}
    heading = f"Medians of {results['rounds']} rounds, {results['jobs']} jobs in a drain times each contender's share."
    floor = (
        f"Floors, one process: {floors['smtp']:,.0f} emails/s with a bare smtplib loop over one connection; "
        f"{floors['ledger']:,.0f} jobs/s with only the three ledger writes."
    )
    parts = [results["machine"], heading, _speed(rows), _cost(rows), floor]
    parts.append(f"Recording a sign-in (`benchmarks/sign_in.py`):\n\n```\n{results['sign_in']}\n```")
    return "\n\n".join(parts)


def medians(rounds: list[dict[str, Any]]) -> Row:
    """Return one row for a contender. The pickup times of all rounds are combined."""
    row: Row = {}
    for name in rounds[0].keys() - {"pickups"}:
        values = [each[name] for each in rounds if each[name] is not None]
        row[name] = statistics.median(values) if values else None
    pickups = sorted(pickup for each in rounds for pickup in each["pickups"])
    for percent in (50, 95, 99):
        row[f"p{percent}"] = quantile(pickups, percent) if pickups else None
    return row


def quantile(values: list[float], percent: int) -> float:
    """Return the smallest of the sorted `values` that `percent` of a hundred do not exceed."""
    return values[max(0, -(-len(values) * percent // 100) - 1)]


def table(heads: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table. The first column is text, the others are numbers."""
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def number(value: float | None) -> str:
    """Format a number with its significant digits."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _ratio(rows: dict[str, Row], name: str, column: str) -> str:
    ours, theirs = rows.get("ours", {}).get(column), rows[name].get(column)
    return f"{ours / theirs:.1f}" if ours and theirs else "-"


def _speed(rows: dict[str, Row]) -> str:
    heads = ["", "enqueue ms", "emails/s at 0 ms", "ours is x", "at 50 ms", "ours is x", "pickup p50 ms", "p95", "p99"]
    return table(
        heads,
        [
            [
                named(name).title,
                number(row["enqueue"]),
                number(row["rate"]),
                _ratio(rows, name, "rate"),
                number(row["rate_slow"]),
                _ratio(rows, name, "rate_slow"),
                *(number(row[f"p{percent}"]) for percent in (50, 95, 99)),
            ]
            for name, row in rows.items()
        ],
    )


def _cost(rows: dict[str, Row]) -> str:
    heads = ["", "CPU-ms an email", "ours is x", "PSS idle MB", "after"]
    heads += ["statements a job", "commits", "Redis commands"]
    columns = ("pss_idle", "pss_after", "statements", "commits", "commands", "idle")
    lines = [
        [
            named(name).title,
            number(row["cpu"]),
            _ratio(rows, name, "cpu"),
            *(number(row[column]) for column in columns),
            f"{row['twice'] or 0:.0f}",
        ]
        for name, row in rows.items()
    ]
    return table([*heads, "queries a minute idle", "sent twice"], lines)
