"""Ways to run a Django site that this one does not support, refused at the start. Used by settings.py and checks.py."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

SUB_PATH = (
    "is not supported: links, cookies and webhooks need a host name of their own. Serve the site at the root of one, "
    "https://notifier.example.mn, and leave it out"
)
NO_TIME_ZONES = "is not supported: every time is stored with its time zone. Leave it out"
VARIABLES = {"FORCE_SCRIPT_NAME": SUB_PATH, "SCRIPT_NAME": SUB_PATH}


def variable_faults(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield (variable, fault) for each variable that asks for something unsupported."""
    for name, why in VARIABLES.items():
        if environment.get(name, "").strip("/ "):
            yield name, why
    if environment.get("USE_TZ", "1").strip().lower() in ("", "0", "false", "f", "no", "n", "off"):
        yield "USE_TZ", NO_TIME_ZONES


def folder_faults(database: Mapping[str, Any] | None, folder: Path) -> Iterator[tuple[str, str]]:
    """Yield ("VAR_DIR", fault) when SQLite's file could not be written. PostgreSQL needs no writable folder."""
    if not database or not database["ENGINE"].endswith("sqlite3") or ":memory:" in str(database["NAME"]):
        return
    file = Path(database["NAME"])
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as refused:
        yield "VAR_DIR", f"cannot be created: {refused}. SQLite needs it; PostgreSQL (DATABASE_URL) does not"
        return
    written = file if file.exists() else file.parent
    if not (os.access(written, os.W_OK) and os.access(file.parent, os.W_OK)):
        yield "VAR_DIR", f"{str(written)!r} cannot be written. SQLite needs it; PostgreSQL (DATABASE_URL) does not"
