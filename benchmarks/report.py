"""The figures of a run as Markdown: medians of the rounds, ratios to ours, and the goals."""

import statistics
from typing import Any

from benchmarks import goals
from benchmarks.contenders import named

Row = dict[str, float | None]


def render(results: dict[str, Any]) -> str:
    """All of it."""
    rows = {name: medians(rounds) for name, rounds in results["figures"].items() if rounds}
    floors = {name: statistics.median(values) for name, values in results["floors"].items()}
    heading = f"Medians of {results['rounds']} rounds, {results['jobs']} jobs a drain times each one's share."
    floor = (
        f"Floors, one process: {floors['smtp']:,.0f} mails/s by a bare loop of smtplib on one kept connection; "
        f"{floors['ledger']:,.0f} jobs/s by the three ledger writes alone."
    )
    parts = [results["machine"], heading, _speed(rows), _cost(rows), floor]
    if "ours" in rows and len(rows) > 1:
        parts.append(goals.render(rows))
    parts.append(f"Recording a sign-in (`benchmarks/sign_in.py`):\n\n```\n{results['sign_in']}\n```")
    return "\n\n".join(parts)


def medians(rounds: list[dict[str, Any]]) -> Row:
    """One row for a contender. Pickup times of all rounds are taken together."""
    row: Row = {}
    for name in rounds[0].keys() - {"pickups"}:
        values = [each[name] for each in rounds if each[name] is not None]
        row[name] = statistics.median(values) if values else None
    pickups = sorted(pickup for each in rounds for pickup in each["pickups"])
    for percent in (50, 95, 99):
        row[f"p{percent}"] = quantile(pickups, percent) if pickups else None
    return row


def quantile(values: list[float], percent: int) -> float:
    """The smallest of the sorted `values` that `percent` of a hundred do not exceed."""
    return values[max(0, -(-len(values) * percent // 100) - 1)]


def table(heads: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; the first column is words, the others are numbers."""
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def number(value: float | None) -> str:
    """With as many digits as mean something."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _ratio(rows: dict[str, Row], name: str, figure: str) -> str:
    ours, theirs = rows.get("ours", {}).get(figure), rows[name].get(figure)
    return f"{ours / theirs:.1f}" if ours and theirs else "-"


def _speed(rows: dict[str, Row]) -> str:
    heads = ["", "enqueue ms", "mails/s at 0 ms", "ours is x", "at 50 ms", "ours is x", "pickup p50 ms", "p95", "p99"]
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
    heads = ["", "CPU-ms a mail", "ours is x", "PSS idle MB", "after", "statements a job", "commits", "Redis commands"]
    figures = ("pss_idle", "pss_after", "statements", "commits", "commands", "idle")
    lines = [
        [
            named(name).title,
            number(row["cpu"]),
            _ratio(rows, name, "cpu"),
            *(number(row[figure]) for figure in figures),
            f"{row['twice'] or 0:.0f}",
        ]
        for name, row in rows.items()
    ]
    return table([*heads, "queries a minute idle", "sent twice"], lines)
