"""docs/sites.md, followed literally: a site, its key, a branded email in the mailbox, and an event at the receiver."""

import base64
import hashlib
import hmac
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from accounts.management.commands import create_site
from tests.support.machine import eventually
from tests.support.ports import free_port
from tests.support.postgres import die_with_parent
from tests.support.site import ROOT, Site

PAGE = Path(ROOT, "docs/sites.md").read_text()
COMMANDS = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
RECEIVER = re.search(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[1]
SECRET = b"0123456789abcdef0123456789abcdef"


@pytest.fixture
def site() -> Iterator[Site]:
    with Site(DEBUG="1") as running:
        running.manage("migrate")
        running.start("mail", "web", "worker")
        yield running


def follow(site: Site, *blocks: str, port: int = 9000) -> str:
    """Run blocks of the page in one shell, with the addresses of the test in place of those of `make run`."""
    text = "\n".join(blocks).replace("http://localhost:8000", site.url).replace("localhost:9000", f"127.0.0.1:{port}")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=ROOT,
        env={**site.environment, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_site_is_created_and_its_user_gets_the_email(site):
    started, created, posted, _ = COMMANDS
    out = follow(site, started, created, posted)
    assert '{"jobId": "signin-1", "status": "enqueued"' in out
    eventually(lambda: len(site.mails()) == 1)
    assert site.get("/dev/mailbox/")[0] == 200
    assert site.mails()[0]["To"] == "bat@example.mn"
    stored = site.sql("SELECT slug, name, colour, language FROM accounts_site WHERE slug <> 'signal'")
    assert stored == [("shop", "Mountain Shop", "#0055aa", "en")]


def test_every_option_of_the_command_is_explained():
    table = PAGE.partition("| option |")[2].partition("\n\n")[0]
    options = {f"--{name.replace('_', '-')}" for name in ("name", "per_hour", "test_mode", *create_site.OPTIONS)}
    assert {option for option in options if f"`{option}`" not in table} == set()


@pytest.fixture
def receiver(tmp_path) -> Iterator[int]:
    """The receiver of the page, with SECRET; its port."""
    port = free_port()
    tmp_path.joinpath("receiver.py").write_text(RECEIVER)
    secret = "whsec_" + base64.b64encode(SECRET).decode()
    environment = {**os.environ, "SECRET": secret, "PORT": str(port)}
    with tmp_path.joinpath("out").open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "receiver.py"],
            cwd=tmp_path,
            env=environment,
            stdout=out,
            stderr=out,
            preexec_fn=die_with_parent,
        )
    eventually(lambda: post(port, b"{}", b"another secret") == 401)
    yield port
    process.terminate()
    process.wait(10)


def post(port: int, body: bytes, secret: bytes, at: float | None = None) -> int:
    """Send an event as Standard Webhooks 1.0 signs it; return the status of the answer, 0 for none."""
    sent = str(int(at or time.time()))
    signature = base64.b64encode(hmac.digest(secret, f"evt_1.{sent}.".encode() + body, hashlib.sha256)).decode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", body)
    request.add_header("webhook-id", "evt_1")
    request.add_header("webhook-timestamp", sent)
    request.add_header("webhook-signature", f"v1,b2xk v1,{signature}")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        return refused.code
    except OSError:
        return 0


def test_the_receiver_takes_what_is_signed_and_fresh_and_nothing_else(receiver, tmp_path):
    event = b'{"type": "sign_in.disputed", "timestamp": "2026-03-01T01:30:00Z", "data": {}}'
    assert post(receiver, event, SECRET) == 204
    assert post(receiver, event, b"another secret") == 401
    assert post(receiver, event, SECRET, at=time.time() - 301) == 401
    assert tmp_path.joinpath("out").read_text().count("'type': 'sign_in.disputed'") == 1


def test_the_receiver_gets_the_event_of_a_notice(site, tmp_path):
    started, created, posted, received = COMMANDS
    port, out = free_port(), tmp_path / "out"
    tmp_path.joinpath("receiver.py").write_text(RECEIVER)
    received = received.replace("python3 receiver.py &", f"PORT={port} python3 {tmp_path}/receiver.py >{out} 2>&1 &")
    until = f"for n in $(seq 100); do grep -q notice.delivered {out} && break; sleep 0.3; done; kill %1"
    follow(site, started, created, received, posted.replace("signin-1", "signin-2"), until, port=port)
    assert "'type': 'notice.delivered'" in out.read_text()
