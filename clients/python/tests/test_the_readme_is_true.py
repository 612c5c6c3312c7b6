"""README.md: its settings, checks, arguments and classes are those of the code, and its examples run."""

import inspect
import re
from pathlib import Path

import pytest
from django.conf import settings as project
from hostile import response, server
from signing import DISPUTED, SECRET, envelope, headers

import notifier_client
from notifier_client import Notifier

FOLDER = Path(__file__).resolve().parents[1]
README = (FOLDER / "README.md").read_text()
CODE = "\n".join(path.read_text() for path in sorted((FOLDER / "src").rglob("*.py")))


def block(start):
    """The example that begins with these words."""
    return next(found for found in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if found.startswith(start))


def test_each_check_is_named():
    assert set(re.findall(r"\b[EW]00\d\b", README)) == set(re.findall(r"\b[EW]00\d\b", CODE))


def test_each_setting_is_named():
    code = set(re.findall(r'"(NOTIFIER_[A-Z_]+)"', CODE))
    assert set(re.findall(r"^\| `(NOTIFIER_[A-Z_]+)`", README, re.MULTILINE)) == code


def test_each_argument_is_named_with_its_default():
    rows = dict(re.findall(r"^\| `(\w+)` \| .+ \| (\d+) \|$", README, re.MULTILINE))
    parameters = inspect.signature(Notifier).parameters.values()
    assert {name: float(value) for name, value in rows.items()} == {
        each.name: each.default for each in parameters if each.kind is each.KEYWORD_ONLY
    }


def test_each_class_is_named():
    assert {name for name in notifier_client.__all__ if f"`{name}" not in README} <= {
        "DisputedSignIn", "Event", "FieldError", "Problem", "Result",
    }  # fmt: skip


def test_the_version_is_one():
    version = re.search(r'^version = "(.+)"', (FOLDER / "pyproject.toml").read_text(), re.MULTILINE)[1]
    assert version == notifier_client.__version__
    assert f"notifier_client-{version}-py3" in README


def test_the_plain_example_reports_a_sign_in(monkeypatch):
    monkeypatch.setenv("NOTIFIER_KEY", "nk_1")
    with server(response(202, '{"jobId": "a", "status": "enqueued"}')) as running:
        names = {}
        exec(block("import os").replace("https://notifier.example.mn", running.url), names)
        assert names["result"].ok


def test_the_example_of_events_ends_sessions():
    ended = []
    names = {"end_sessions_of": ended.append}
    exec(block("from notifier_client import InvalidEvent"), names)
    body = envelope()
    assert names["receive"](body, headers(body), SECRET) == 204
    assert names["receive"](body, {}, SECRET) == 400
    assert ended == [DISPUTED["userId"]]


@pytest.mark.parametrize("start", ["INSTALLED_APPS", "from django.urls", "from django.dispatch"])
def test_the_other_examples_are_python(start):
    assert compile(block(start), "README.md", "exec")
    assert "notifier_client.django" in project.INSTALLED_APPS
