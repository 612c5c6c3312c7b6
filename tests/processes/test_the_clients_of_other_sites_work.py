"""The clients of docs/clients, run by their own interpreters against the real site: the mail arrives, once."""

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

import pytest

from tests.support.machine import eventually
from tests.support.ports import free_port
from tests.support.site import ROOT, Site

CLIENTS = ROOT / "docs" / "clients"


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
        "import json, os, sys; from notifier_client import Notifier; "
        "Notifier(os.environ['NOTIFIER_URL'], os.environ['NOTIFIER_API_KEY'], backoff=0.02, tries=3)"
        ".signed_in(**json.loads(sys.argv[1])).join()"
    )
    notice = {"userId": "7", "email": "dorj@example.mn", "name": "Дорж", "provider": "password"}
    notice |= {"ipAddress": "203.0.113.9", "userAgent": "curl/8", **fields}
    environment = {**os.environ, "NOTIFIER_URL": url, "NOTIFIER_API_KEY": token, "PYTHONPATH": str(CLIENTS)}
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
    assert "did not take the notice" in away.stderr
    assert site.token not in refused.stderr + away.stderr


def test_the_curl_client_has_the_mail_sent(site):
    notice = {"userId": "8", "email": "suvd@example.mn", "name": "Сувд", "provider": "password", "jobId": "curl-1"}
    notice |= {"ipAddress": "203.0.113.9", "userAgent": "curl/8", "timestamp": datetime.now(UTC).isoformat()}
    environment = {**os.environ, "NOTIFIER_URL": site.url, "NOTIFIER_API_KEY": site.token}
    for status in ("202", "409"):
        done = subprocess.run(
            [CLIENTS / "notify.sh"],
            input=json.dumps(notice),
            env=environment,
            capture_output=True,
            text=True,
            timeout=90,
        )
        assert done.returncode == 0, done
        assert done.stdout.split()[-1] == status
    assert mail_to(site, "suvd@example.mn")


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
