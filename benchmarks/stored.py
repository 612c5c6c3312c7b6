"""The numbers of each benchmark in var/bench/NAME.json, for the table of goals."""

import json
from typing import Any

from benchmarks.contenders import ROOT
from benchmarks.machine import commit

FOLDER = ROOT / "var" / "bench"


def store(name: str, numbers: dict[str, Any]) -> None:
    """Replace the stored numbers of one benchmark, with the commit that they belong to."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps({"commit": commit(), **numbers}))


def stored(name: str) -> dict[str, Any] | None:
    """Return the numbers of the last run of one benchmark, or None when it has not run here."""
    path = FOLDER / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None
