"""`make run` ends with one block of what one needs, which the lines of requests do not bury."""

import io

import pytest

from notifier.dev import accounts
from notifier.management.commands import run
from notifier.management.commands.run import Greeting, is_request_line
from notifier.ops.processes import Processes, Program, shown_lines

REQUEST = (
    b"2026-11-27T08:00:00Z [info     ] request [notifier.request_logging] method=GET ms=3.1 route=admin/ status=%d"
)


@pytest.mark.parametrize(
    ("name", "line", "hidden"),
    [
        ("web", REQUEST % 200, True),
        ("web", REQUEST % 404, True),
        ("web", REQUEST % 503, False),
        ("web", b'{"event": "request", "logger": "notifier.request_logging", "status": 302}', True),
        ("web", b'{"event": "request", "logger": "notifier.request_logging", "status": 500}', False),
        ("web", b"[warning  ] Not Found [django.request] route=unknown status_code=404", True),
        ("web", b"[error    ] Internal Server Error [django.request] route=x", False),
        ("web", b"Traceback (most recent call last):", False),
        ("worker", b"[info     ] job completed [jobs.worker] status=completed", False),
    ],
)
def test_the_line_of_a_request_that_did_not_fail_is_hidden(name, line, hidden):
    assert is_request_line(name, line) is hidden


def test_quiet_leaves_out_these_lines_and_no_others():
    lines = [REQUEST % 200, b"started", REQUEST % 500]
    assert shown_lines("web", lines, is_request_line) == lines[1:]
    assert shown_lines("worker", lines, is_request_line) == lines
    assert shown_lines("web", lines, None) == lines


@pytest.mark.parametrize("quiet", [True, False])
def test_one_block_has_the_addresses_the_names_and_the_passwords(monkeypatch, settings, quiet):
    settings.DEBUG, settings.SITE_URL = True, "http://127.0.0.1:8000"
    monkeypatch.setattr(run, "site_responds", lambda: True)
    out = io.BytesIO()
    running = Processes([Program("web", ["true"], grace=1)], out)
    greeting = Greeting(running, {"demo": "aaaa-bbbb-cccc"}, quiet=quiet)
    greeting()
    greeting()
    said = out.getvalue().decode()
    for part in ("http://127.0.0.1:8000/admin/", "/dev/mailbox/", "user name demo", "password aaaa-bbbb-cccc"):
        assert said.count(part) == 1
    assert "user name operator  created earlier" in said
    assert "Ctrl-C stops it" in said
    assert ("make run ARGS=" in said) is quiet


def test_the_lines_of_the_accounts_are_those_of_make_demo():
    lines = accounts.describe({"demo": "x", "operator": "y"})
    assert lines == [
        "user      user name demo      password x   (shown only once)",
        "operator  user name operator  password y   (shown only once)",
    ]
