"""Only jobs/core/sql asks which database is in use; other modules call its functions."""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.support.site import ROOT
from tests.unit.test_the_structure_keeps_its_limits import sources

PACKAGE = ROOT / "jobs" / "core" / "sql"
ASKS = {"vendor", "display_name", "is_postgresql"}
ENGINE = re.compile(r"(django\.db\.backends\.)?(postgresql|sqlite3?)")
# These choose or check the engine that the environment names, before there is a connection.
ALLOWED = {
    "notifier/env_validators.py": "reads the engine from the scheme of DATABASE_URL",
    "notifier/environment/unsupported.py": "refuses a SQLite file of the settings that the processes cannot share",
    "notifier/checks.py": "lists the engines that the settings may name",
}


def asking(code: str) -> Iterator[int]:
    """Yield the lines of code that ask which database is in use."""
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.Attribute(attr=name) | ast.Name(id=name) | ast.alias(name=name) if name in ASKS:
                yield node.lineno
            case ast.Constant(value=str(text)) if ENGINE.fullmatch(text):
                yield node.lineno
            case ast.Call(func=ast.Attribute(attr="endswith"), args=[ast.Constant(value="sqlite3")]):
                yield node.lineno


def test_no_module_but_those_of_one_package_asks_which_database_is_in_use():
    files = [path for path in sources() if (ROOT / "clients") not in path.parents and PACKAGE not in path.parents]
    found = {str(path.relative_to(ROOT)): list(asking(path.read_text())) for path in files}
    assert {path: lines for path, lines in found.items() if lines and path not in ALLOWED} == {}
    assert [path for path in ALLOWED if not found[path]] == [], "it no longer asks: delete its exception"


@pytest.mark.parametrize(
    "code",
    [
        "if connection.vendor == 'x': pass",
        "from jobs.core.sql import is_postgresql",
        "sql.is_postgresql()",
        "of == 'postgresql'",
        "engine in ('sqlite', 'x')",
        "engine == 'django.db.backends.sqlite3'",
        "connection.display_name",
    ],
)
def test_a_question_is_found(code):
    assert list(asking(code))
