"""Signatures of events: the example of Standard Webhooks, two secrets at a time, and what any change does to one."""

import base64
import hmac
import re
import subprocess
import textwrap
import time

import pytest

from accounts.events import signature
from accounts.events.sender import body_of
from tests.support.receiver import Received, signed_by
from tests.support.site import ROOT

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID, TIMESTAMP, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'


def test_the_example_of_the_standard_has_its_signature():
    assert signature.sign(SECRET, ID, TIMESTAMP, BODY) == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("other", [("x", TIMESTAMP, BODY), (ID, TIMESTAMP + 1, BODY), (ID, TIMESTAMP, BODY + b" ")])
def test_id_time_and_body_are_signed(other):
    assert signature.sign(SECRET, *other) != signature.sign(SECRET, ID, TIMESTAMP, BODY)


def test_a_new_secret_has_32_random_bytes_in_base64():
    made = {signature.new_secret() for _ in range(20)}
    assert len(made) == 20
    assert {len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) for secret in made} == {32}


def test_during_a_rotation_each_secret_verifies_the_event():
    new, old = signature.new_secret(), signature.new_secret()
    headers = signature.headers_of([new, old], ID, int(time.time()), BODY)
    one = Received(ID, headers, BODY)
    assert [signed_by(secret, one) for secret in (new, old, SECRET)] == [True, True, False]
    assert headers["webhook-signature"].count("v1,") == 2


def test_the_body_is_the_same_for_every_attempt_and_has_nothing_of_ours():
    payload = {"endpoint": 7, "notice": "shop:1", "type": "notice.failed", "timestamp": "2026-01-01T00:00:00Z"}
    payload["data"] = {"jobId": "1", "userId": "Бат"}
    assert body_of(payload) == body_of(dict(reversed(payload.items())))
    assert body_of(payload).decode() == (
        '{"type":"notice.failed","timestamp":"2026-01-01T00:00:00Z","data":{"jobId":"1","userId":"Бат"}}'
    )


def example(language):
    """The example of docs/events.md in a language."""
    page = (ROOT / "docs" / "events.md").read_text()
    return textwrap.dedent(re.search(rf"^{language}[^:]*:\n\n((?:    .*\n)+)", page, re.M)[1])


def test_the_shell_example_of_the_document_computes_the_signature(tmp_path):
    (tmp_path / "body").write_bytes(BODY)
    values = {"SECRET": SECRET, "ID": ID, "TIMESTAMP": str(TIMESTAMP), "PATH": "/usr/bin:/bin"}
    made = subprocess.run(["sh", "-c", example("Shell")], env=values, cwd=tmp_path, capture_output=True, check=True)
    assert "v1," + made.stdout.decode().strip() == signature.sign(SECRET, ID, TIMESTAMP, BODY)


@pytest.mark.parametrize(("body", "valid"), [(BODY, True), (BODY + b" ", False)])
def test_the_python_example_of_the_document_verifies_it(body, valid):
    given = "v1,AAAA " + signature.sign(SECRET, ID, TIMESTAMP, BODY)
    names = {"SECRET": SECRET, "id": ID, "timestamp": TIMESTAMP, "body": body, "signature": given}
    names |= {"base64": base64, "hmac": hmac}
    exec(example("Python"), names)
    assert names["valid"] is valid
