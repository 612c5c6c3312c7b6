"""Sign-ins that a daemon thread reports: the caller never waits, and the program ends soon."""

import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hostile import response, server

from notifier_client import Notifier, SignIn

ACCEPTED = response(202, '{"jobId": "a", "status": "enqueued"}')
SOURCE = Path(__file__).resolve().parents[1] / "src"
SCRIPT = """
import sys
from notifier_client import Notifier, SignIn
assert Notifier(sys.argv[1], "nk_key").notify_in_background(SignIn(user_id="1", email="a@b.mn", job_id="last"))
"""


def sign_in(number=1):
    return SignIn(user_id=str(number), email="bat@example.mn", job_id=f"job-{number}")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("notifier_client.retry.FIRST_WAIT", 0.01)


def run(url):
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    return subprocess.run([sys.executable, "-c", SCRIPT, url], env=environment, capture_output=True, text=True,
                          timeout=25)  # fmt: skip


def test_many_are_reported_with_one_thread():
    with server(ACCEPTED) as running:
        client = Notifier(running.url, "nk_key")
        before = threading.active_count()
        assert all(client.notify_in_background(sign_in(number)) for number in range(20))
        assert threading.active_count() <= before + 1 + 20  # the server has one for each request
        assert client.flush(10)
        assert len(running.requests) == 20
        assert sum(thread.name == "notifier-client" and thread.daemon for thread in threading.enumerate()) >= 1


def test_one_that_fails_holds_up_no_other(monkeypatch):
    monkeypatch.setattr("notifier_client.retry.FIRST_WAIT", 60)
    with server(response(500), ACCEPTED) as running:
        client = Notifier(running.url, "nk_key")
        client.notify_in_background(sign_in(1))
        client.notify_in_background(sign_in(2))
        assert not client.flush(1)
        assert [b'"job-1"' in body for _, _, body in running.requests] == [True, False]


def test_one_that_fails_is_repeated_until_it_is_accepted():
    with server(b"", response(503), ACCEPTED) as running:
        client = Notifier(running.url, "nk_key")
        client.notify_in_background(sign_in())
        assert client.flush(10)
        assert len(running.requests) == 3
        assert len({body for _, _, body in running.requests}) == 1


def test_a_full_queue_drops_the_new_one_and_logs_it(caplog):
    with server(response(503)) as running:
        client = Notifier(running.url, "nk_key", queue_size=2, background_budget=60)
        assert client.notify_in_background(sign_in(1))
        assert client.notify_in_background(sign_in(2))
        assert not client.notify_in_background(sign_in(3))
        running.answers = [ACCEPTED]
        assert client.flush(10)
    assert "job-3 was dropped" in caplog.text


@pytest.mark.parametrize(
    ("answer", "logged"),
    [
        (response(400, '{"type": "urn:notifier:problem:invalid-fields", "errors": [{"field": "email"}]}'),
         "refused: 400 invalid-fields (email)"),
        (response(503, "<html>bat@example.mn nk_key</html>"), "unreachable after 1 attempts: 503"),
    ],
)  # fmt: skip
def test_what_was_not_accepted_is_logged_without_personal_data(caplog, answer, logged):
    with caplog.at_level(logging.DEBUG), server(answer) as running:
        client = Notifier(running.url, "nk_key", background_budget=0)
        client.notify_in_background(sign_in())
        assert client.flush(10)
    assert f"did not accept the notice job-1: {logged}" in caplog.text
    assert "bat@example.mn" not in caplog.text
    assert "nk_key" not in caplog.text


def test_a_script_reports_its_last_sign_in_before_it_ends():
    with server(ACCEPTED) as running:
        done = run(running.url)
        assert (done.returncode, done.stderr) == (0, "")
        assert len(running.requests) == 1


def test_a_script_whose_server_is_down_ends_soon_and_says_so():
    with server(b"") as running:
        url = running.url
    done = run(url)  # within its time limit: it took 33 s and more before
    assert done.returncode == 0
    assert "ended before Notifier accepted 1 notices" in done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_process_that_was_forked_has_a_thread_of_its_own():
    with server(ACCEPTED) as running:
        client = Notifier(running.url, "nk_key")
        client.notify_in_background(sign_in(1))
        assert client.flush(10)
        child = os.fork()
        if child == 0:
            reported = client.notify_in_background(sign_in(2)) and client.flush(10)
            os._exit(0 if reported else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert len(running.requests) == 2


def test_the_client_needs_no_django():
    script = "import sys; sys.modules['django'] = None; import notifier_client"
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
