"""docs/clients/notifier_client.py and a server with any answer: only Notifier's own 202 and 409 are a success."""

import importlib.util
import socketserver
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

FILE = Path(__file__).resolve().parents[2] / "docs/clients/notifier_client.py"
SPEC = importlib.util.spec_from_file_location("notifier_client", FILE)
client = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(client)
PROBLEM = '{"type": "urn:notifier:problem:%s"}'
SOON = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)


class Scripted(BaseHTTPRequestHandler):
    """Gives the server's one answer to everything, and records who asked for what."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.path, self.headers["Authorization"]))
        status, body, headers = self.server.answer
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body.encode())

    def do_GET(self):
        self.server.asked.append((self.path, self.headers["Authorization"]))
        self.send_response(202)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Scripted) as running:
        running.asked = []
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def deliver(server, status, body="", **headers):
    """Deliver a notice. Return the class of the error ("" for none), the number of attempts, and the waits."""
    server.answer = (status, body, {name.replace("_", "-"): value for name, value in headers.items()})
    waits = []
    notifier = client.Notifier(
        f"http://127.0.0.1:{server.server_address[1]}", "key", tries=3, backoff=0.01, sleep=waits.append
    )
    try:
        notifier.deliver(notifier.describe(userId="1"))
    except (client.Refused, OSError) as error:
        return type(error).__name__, len(server.asked), waits
    return "", len(server.asked), waits


@pytest.mark.parametrize(
    ("status", "body", "error", "attempts"),
    [
        (202, "{}", "", 1),
        (409, PROBLEM % "duplicate-job", "", 1),
        (409, PROBLEM % "not-a-dead-letter", "Refused", 1),
        (409, "<html>conflict</html>", "Refused", 1),
        (422, PROBLEM % "job-id-of-another-user", "Refused", 1),
        (200, "<html>welcome</html>", "Refused", 1),
        (204, "", "Refused", 1),
        (404, "<html>not found</html>", "Refused", 1),
        (400, "[1]", "Refused", 1),
        (400, "null", "Refused", 1),
        (429, PROBLEM % "too-many-notices", "Refused", 1),
        (429, PROBLEM % "too-many-requests", "Busy", 3),
        (429, "<html>slow down</html>", "Busy", 3),
        (503, "<html>away</html>", "Busy", 3),
    ],
)
def test_only_notifiers_own_answers_mean_that_it_has_the_notice(server, status, body, error, attempts):
    assert deliver(server, status, body)[:2] == (error, attempts)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_with_the_key(server, status):
    elsewhere = f"http://127.0.0.1:{server.server_address[1]}/elsewhere"
    assert deliver(server, status, Location=elsewhere)[:2] == ("Refused", 1)
    assert {path for path, _key in server.asked} == {"/api/jobs/signin-notification"}


@pytest.mark.parametrize(
    ("asked", "least"),
    [("7", 7), pytest.param(SOON, 60, id="a date"), ("soon", 0), ("-1", 0), ("Thu, 01 Jan 1970", 0)],
)
def test_the_time_to_wait_may_be_a_number_a_date_or_nonsense(server, asked, least):
    error, attempts, waits = deliver(server, 503, Retry_After=asked)
    assert (error, attempts) == ("Busy", 3)
    assert all(least <= wait <= 60 for wait in waits)


def test_an_answer_that_is_cut_off_is_tried_again(server):
    assert deliver(server, 503, "{", Content_Length="1000")[:2] == ("Busy", 3)
