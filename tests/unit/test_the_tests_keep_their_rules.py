"""Rules for the tests: each is in a folder, each can fail, and each reaches the code by its public names."""

import ast
from collections.abc import Iterator

from tests.conftest import FOLDERS
from tests.support.site import ROOT

FILES = sorted((ROOT / "tests").rglob("*.py"))
TREES = {str(path.relative_to(ROOT / "tests")): ast.parse(path.read_text()) for path in FILES}
CAN_FAIL = {
    "raises",
    "warns",
    "fail",
    "django_assert_num_queries",
    "django_assert_max_num_queries",
    "expect",
    "examine",
    "eventually",
    "run_state_machine_as_test",
}
"""Functions that fail the test that calls them."""

PRIVATE = {
    "_allowed",  # the executor
    "_learn_pace",  # the executor
    "_receipts",  # the worker's batch
    "_seen_at",  # the executor
    "_wanted",  # the executor
    "_fetch",  # the broker's next fetch
    "_look_at",  # the broker's next look at the table
    "_migrated",  # what /readyz remembers
    "_actions",  # argparse
    "_option_string_actions",  # argparse
    "_fields",  # environs
    "_getframe",  # public in sys
    "_maxsize",  # the bound of multiprocessing's queue
    "_handle_client",  # aiosmtpd's hook for subclasses
    "_exit",  # public in os
    "_meta",  # public in Django
    "_replace",  # public in named tuples
}
"""Members that tests reach although their names are private. This set only shrinks."""


def each_test() -> Iterator[tuple[str, ast.FunctionDef]]:
    """Yield each test function with its place."""
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and "/test_" in path:
                yield f"{path}:{node.lineno} {node.name}", node


def can_fail(test: ast.FunctionDef) -> bool:
    """Return whether the test asserts something itself, or calls a function that is known to."""
    called = {name for node in ast.walk(test) if isinstance(node, ast.Call) for name in names(node.func)}
    return any(isinstance(node, ast.Assert) for node in ast.walk(test)) or bool(called & CAN_FAIL)


def names(function: ast.expr) -> set[str]:
    return {getattr(node, "attr", None) or getattr(node, "id", "") for node in ast.walk(function)}


def private_members(tree: ast.Module) -> set[str]:
    """Return the private names that code takes from other objects, as `other._name` or by setattr."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and not (
            isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
        ):
            found.add(node.attr)
        elif isinstance(node, ast.Call) and names(node.func) & {"setattr", "setitem", "getattr"} and node.args[1:]:
            found.add(getattr(node.args[1], "value", ""))
    return {name for name in found if isinstance(name, str) and name.startswith("_") and not name.startswith("__")}


def test_each_file_of_tests_is_in_a_folder_that_says_what_it_needs():
    misplaced = {path for path in TREES if "test_" in path and path.split("/")[0] not in FOLDERS}
    assert misplaced == set()


def test_each_test_can_fail():
    assert [place for place, test in each_test() if not can_fail(test)] == []


def test_private_members_are_left_alone():
    found = {path: private_members(tree) - PRIVATE for path, tree in TREES.items()}
    assert {path: members for path, members in found.items() if members} == {}
