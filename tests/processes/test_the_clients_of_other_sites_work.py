"""The clients of other sites, run by their own interpreters against the real site: the mail arrives, once."""

import contextlib
import json
import os
import socketserver
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from datetime import UTC, datetime
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tests.support.machine import eventually
from tests.support.ports import free_port
from tests.support.site import ROOT, Site

PYTHON_SOURCE = ROOT / "clients" / "python" / "src"
NOTIFY = ROOT / "clients" / "curl" / "notify.sh"


@pytest.fixture(scope="module")
def site():
    with Site() as site:
        site.start("mail", "web", "worker")
        made = site.manage("create_api_key", "shop", "--scope", "enqueue", "--scope", "read", "--scope", "admin")
        site.token = made.split()[-1]
        yield site


class Forgetful(BaseHTTPRequestHandler):
    """Hands a request on to the site and hangs up without an answer, the first time."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name: self.headers[name] for name in ("Content-Type", "Authorization")}
        request = urllib.request.Request(self.server.behind + self.path, body, headers)
        self.server.asked += 1
        try:
            with urllib.request.urlopen(request) as answer:
                status, said = answer.status, answer.read()
        except urllib.error.HTTPError as refused:
            status, said = refused.code, refused.read()
        if self.server.asked == 1:
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def forgetful(site):
    """A proxy before the site that swallows the first answer."""
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Forgetful)
    server.behind, server.asked = site.url, 0
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def jobs_of(site: Site) -> int:
    return site.sql("SELECT count(*) FROM job_logs")[0][0]


def mail_to(site: Site, address: str) -> EmailMessage:
    """The one mail that comes to that address."""
    eventually(lambda: any(mail["To"] == address for mail in site.mails()))
    (mail,) = [mail for mail in site.mails() if mail["To"] == address]
    return mail


def run_python(url: str, token: str, **fields: str) -> subprocess.CompletedProcess[str]:
    script = (
        "import json, os, sys; from notifier_client import Notifier, SignIn; "
        "notifier = Notifier(os.environ['NOTIFIER_URL'], os.environ['NOTIFIER_API_KEY'], background_budget=2); "
        "notifier.notify_in_background(SignIn(**json.loads(sys.argv[1]))); notifier.flush(20)"
    )
    notice = {"user_id": "7", "email": "dorj@example.mn", "name": "Дорж", "provider": "password"}
    notice |= {"ip_address": "203.0.113.9", "user_agent": "curl/8", **fields}
    environment = {**os.environ, "NOTIFIER_URL": url, "NOTIFIER_API_KEY": token, "PYTHONPATH": str(PYTHON_SOURCE)}
    command = [sys.executable, "-c", script, json.dumps(notice)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def test_the_python_client_has_the_mail_sent_and_retries_with_the_same_job_id(site, forgetful):
    before = jobs_of(site)
    done = run_python(forgetful.url, site.token)
    assert (done.returncode, done.stderr) == (0, "")
    assert forgetful.asked == 2
    assert jobs_of(site) == before + 1
    assert mail_to(site, "dorj@example.mn")


def test_the_python_client_logs_what_will_never_be_taken_and_what_was_not_taken(site):
    refused = run_python(site.url, site.token, email="none")
    assert refused.returncode == 0
    assert "invalid-fields" in refused.stderr
    away = run_python(f"http://127.0.0.1:{free_port()}", site.token)
    assert away.returncode == 0
    assert "did not accept the notice" in away.stderr
    assert site.token not in refused.stderr + away.stderr


def run_curl(url: str, token: str, body: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "NOTIFIER_URL": url, "NOTIFIER_API_KEY": token}
    return subprocess.run([NOTIFY], input=body, env=environment, capture_output=True, text=True, timeout=90)


def test_the_curl_client_has_the_mail_sent(site):
    notice = {"userId": "8", "email": "suvd@example.mn", "name": "Сувд", "provider": "password", "jobId": "curl-1"}
    notice |= {"ipAddress": "203.0.113.9", "userAgent": "curl/8", "timestamp": datetime.now(UTC).isoformat()}
    for status in ("202", "409"):
        done = run_curl(site.url, site.token, json.dumps(notice))
        assert done.returncode == 0, done
        assert done.stdout.split()[-1] == status
    assert mail_to(site, "suvd@example.mn")
    other = run_curl(site.url, site.token, json.dumps({**notice, "userId": "9", "email": "bold@example.mn"}))
    assert (other.returncode, other.stdout.split()[-1]) == (1, "422")


def command_lines() -> bytes:
    """The command lines of all processes, as `ps` shows them."""
    found = b""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # the process has ended
            found += path.read_bytes()
    return found


class Keeping(BaseHTTPRequestHandler):
    """Keeps each request, and answers it with the server's answer. Asks meanwhile which processes run."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.kept.append((body.decode(), self.headers["Authorization"], command_lines()))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def keeping():
    """A server that keeps what it is sent."""
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Keeping)
    server.kept, server.status = [], 202
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    "body",
    ["@/etc/hostname", '{"name": "--url Бат $(id)"}', '{"email": "secret@example.mn"}'],
    ids=["file", "words", "address"],  # the name of a test is in the list of processes
)
@pytest.mark.parametrize("end", ["", "\r", "\r\n"], ids=["", "CR", "CRLF"])
def test_the_curl_client_sends_any_body_as_it_is_and_shows_it_to_no_process(keeping, body, end):
    assert run_curl(keeping.url, "nk_secret" + end, body).returncode == 0
    ((sent, key, commands),) = keeping.kept
    assert (sent, key) == (body, "Bearer nk_secret")
    assert b"curl" in commands
    assert b"nk_secret" not in commands
    assert b"secret@example.mn" not in commands


@pytest.mark.parametrize("status", [200, 302, 409, 422])
def test_the_curl_client_takes_no_other_answer_for_a_success(keeping, status):
    keeping.status = status
    assert run_curl(keeping.url, "nk_secret", "{}").returncode == 1


def test_the_curl_client_refuses_a_key_that_would_change_its_options(keeping):
    done = run_curl(keeping.url, 'nk_x"\nurl = "file:///etc/hostname', "{}")
    assert (done.returncode, keeping.kept) == (2, [])
    assert "NOTIFIER_API_KEY" in done.stderr


def smoke(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [ROOT / "scripts" / "smoke.sh", *arguments]
    return subprocess.run(command, env={**os.environ, "PYTHON": sys.executable}, capture_output=True, text=True)


def test_the_smoke_test_passes_its_five_cases_and_fails_them_where_it_should(site):
    passed = smoke(site.url, site.token)
    assert passed.returncode == 0, passed.stdout
    assert [line.split()[0] for line in passed.stdout.splitlines()] == ["pass"] * 5
    wrong_key = smoke(site.url, "nk_wrong")
    assert (wrong_key.returncode, wrong_key.stdout.count("FAIL")) == (1, 5)
    nowhere = smoke(f"http://127.0.0.1:{free_port()}", site.token)
    assert (nowhere.returncode, nowhere.stdout.count("FAIL")) == (1, 5)
    assert smoke(site.url).returncode == 2
