"""The chart docs/images/performance.png: four bars for each contender."""

from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot
from matplotlib.axes import Axes

from benchmarks.contenders import ROOT, named
from benchmarks.report import Row, medians, number

PICTURE = ROOT / "docs" / "images" / "performance.png"
OURS, PEER = "#0b6e4f", "#9aa5b1"
PANELS = (
    ("rate", "emails a second, instant replies (more is better)"),
    ("rate_slow", "emails a second, 50 ms replies (more is better)"),
    ("cpu", "CPU-ms an email, servers included (less is better)"),
    ("p95", "pickup of a single job, ms at p95 (less is better)"),
)


def draw(results: dict[str, Any]) -> None:
    """Draw the medians of a run."""
    rows = {name: medians(rounds) for name, rounds in results["measurements"].items() if rounds}
    figure, axes = pyplot.subplots(2, 2, figsize=(13, 9), layout="constrained")
    for axis, (key, title) in zip(axes.flat, PANELS, strict=True):
        _panel(axis, {name: row for name, row in rows.items() if row[key] is not None}, key, title)
    figure.suptitle("The same email and ledger, two worker processes each, one machine, one run")
    figure.savefig(PICTURE, dpi=110)
    pyplot.close(figure)


def _panel(axis: Axes, rows: dict[str, Row], key: str, title: str) -> None:
    names = sorted(rows, key=lambda name: rows[name][key] or 0, reverse=key in ("cpu", "p95"))
    values = [rows[name][key] or 0 for name in names]
    bars = axis.barh(
        [named(name).title for name in names], values, color=[OURS if n == "ours" else PEER for n in names]
    )
    axis.bar_label(bars, labels=[number(value) for value in values], padding=3, fontsize=8)
    axis.set_title(title, fontsize=10)
    axis.spines[["top", "right"]].set_visible(False)
    axis.margins(x=0.12)
