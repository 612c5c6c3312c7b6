"""Limits of size in the packages: files in a folder, lines in a file and in a function."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.support.site import ROOT

PACKAGES = ("notifier", "accounts", "jobs", "clients/python/src")
FILES_IN_A_FOLDER, LINES_IN_A_FILE, LINES_IN_A_FUNCTION = 14, 300, 40


def sources() -> list[Path]:
    """Return the Python files of the packages, without migrations and settings."""
    found = (path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")))
    return [path for path in found if "migrations" not in path.parts and path != ROOT / "notifier" / "settings.py"]


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Yield the place of each function and its number of lines, without its decorators."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", node.end_lineno - node.lineno + 1


def test_a_folder_has_at_most_fourteen_files():
    count = Counter(str(path.parent.relative_to(ROOT)) for path in sources())
    assert {folder: files for folder, files in count.items() if files > FILES_IN_A_FOLDER} == {}


def test_a_file_has_at_most_three_hundred_lines():
    lines = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in sources()}
    assert {path: count for path, count in lines.items() if count > LINES_IN_A_FILE} == {}


def test_a_function_has_at_most_forty_lines():
    lines = dict(found for path in sources() for found in functions(path))
    assert {place: count for place, count in lines.items() if count > LINES_IN_A_FUNCTION} == {}
