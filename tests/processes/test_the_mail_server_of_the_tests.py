"""tests/support/smtp_server.py as a process of its own, which tests that kill processes need."""

import json
import signal
import smtplib
import subprocess
import sys
import time

import pytest

from accounts.mail import smtp
from tests.support.mail import send, set_mailer
from tests.support.ports import free_port


def wait_for(port):
    for _ in range(200):
        try:
            with smtplib.SMTP("127.0.0.1", port, timeout=5):
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("the mail server did not start")


@pytest.fixture
def process(tmp_path, settings):
    port = free_port()
    set_mailer(settings, host="127.0.0.1", port=port)
    files = ["--log", str(tmp_path / "mails.jsonl"), "--control", str(tmp_path / "control.json")]
    running = subprocess.Popen([sys.executable, "-m", "tests.support.smtp_server", "--port", str(port), *files])
    wait_for(port)
    yield running
    smtp.close_connection()
    running.send_signal(signal.SIGTERM)
    assert running.wait(10) == 0


def test_it_logs_a_line_for_each_mail_and_does_as_its_control_file_says(process, tmp_path):
    control = tmp_path / "control.json"
    send("signin-1")
    control.write_text(json.dumps({"at": "RCPT", "answer": "550 5.1.1 no such user"}))
    with pytest.raises(Exception, match="no such user"):
        send("signin-2")
    control.unlink()
    send("signin-3", email="other@example.mn")
    lines = [json.loads(line) for line in (tmp_path / "mails.jsonl").read_text().splitlines()]
    assert [(line["message_id"], line["rcpt"]) for line in lines] == [
        ("<signin-1@testserver>", ["bat@example.mn"]),
        ("<signin-3@testserver>", ["other@example.mn"]),
    ]
    assert all("Auto-Submitted: auto-generated" in line["raw"] for line in lines)
