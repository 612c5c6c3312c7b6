"""P8: the whole system runs, people and attackers do their worst, and nothing planted is in what it wrote."""

import http.cookiejar
import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from email import message_from_bytes, policy

import pytest
from django.utils import timezone
from django_q.signing import SignedPackage

from jobs.core import masking
from tests.support.machine import eventually
from tests.support.people import PASSWORD
from tests.support.site import Site
from tests.support.smtp_server import SmtpServer

NAMES = ["Plantedson", "Тарьсан-Эрдэнэ"]
ADDRESSES = ["planted.person@example.mn", "planted.stranger@example.mn"]
IPS = ["198.51.100.77", "2001:db8:77::7"]
CREATE = (
    "from accounts.models import User; from allauth.account.models import EmailAddress;"
    f"u = User.objects.create_user('planteduser', '{ADDRESSES[0]}', '{PASSWORD}', first_name='{NAMES[0]}',"
    f" last_name='{NAMES[1]}');"
    "EmailAddress.objects.create(user=u, email=u.email, verified=True, primary=True)"
)


class Visitor:
    """A browser without a screen, at an address that the proxy names."""

    def __init__(self, site: Site, address: str) -> None:
        self.site, self.address, self.jar = site, address, http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar))

    def ask(self, path: str, form: dict[str, str] | None = None, **headers: str) -> str:
        headers = {"X-Forwarded-For": self.address, "User-Agent": f"{NAMES[0]}/1.0", **headers}
        data = None
        if form is not None:
            token = next((cookie.value for cookie in self.jar if cookie.name.startswith("csrftoken")), "")
            data = urllib.parse.urlencode({**form, "csrfmiddlewaretoken": token}).encode()
            headers["Referer"] = self.site.url
        asked = urllib.request.Request(self.site.url + urllib.parse.quote(path, safe="/?=&%:"), data, headers)
        try:
            with self.opener.open(asked, timeout=20) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.read().decode()

    def call(self, key: str, body: object) -> None:
        asked = urllib.request.Request(
            f"{self.site.url}/api/jobs/signin-notification",
            body if isinstance(body, bytes) else json.dumps(body).encode(),
            {"Authorization": f"Bearer {key}", "Content-Type": "application/json", "X-Forwarded-For": self.address},
        )
        try:
            urllib.request.urlopen(asked, timeout=20).close()
        except urllib.error.HTTPError as refused:
            refused.close()


def use_it(site: Site, key: str) -> set[str]:
    """Does everything that could leave a trace; the secrets that came up."""
    visitor = Visitor(site, IPS[0])
    visitor.ask("/accounts/login/")
    visitor.ask("/accounts/login/", {"login": ADDRESSES[1], "password": "planted-wrong-password"})
    visitor.ask("/accounts/login/", {"login": "planteduser", "password": PASSWORD})
    assert IPS[0] in visitor.ask("/accounts/activity/")
    visitor.ask("/accounts/password/reset/")
    visitor.ask("/accounts/password/reset/", {"email": ADDRESSES[0]})
    sign_in = {"userId": "7", "email": ADDRESSES[1], "name": NAMES[0], "provider": "github", "ipAddress": IPS[1]}
    sign_in |= {"userAgent": f"{NAMES[1]} {ADDRESSES[1]}", "timestamp": timezone.now().isoformat()}
    for body in (
        sign_in,
        sign_in,
        {**sign_in, "email": "refused." + ADDRESSES[1], "userId": "8"},
        b"{" + NAMES[0].encode(),
    ):
        visitor.call(key, body)
    wrong = "nk_" + "0" * 12 + "_" + "plantedtoken" + "x" * 31
    visitor.call(wrong, sign_in)
    visitor.ask("/", Host=f"{NAMES[0]}.mn")
    for path in (f"/accounts/{wrong}", f"/{ADDRESSES[0]}", f"/api/jobs/{NAMES[0]}", f"/?token={wrong}&ip={IPS[0]}"):
        visitor.ask(path)
    visitor.ask(
        "/accounts/login/", {"login": NAMES[1], "password": "x", "csrfmiddlewaretoken": "y"}, Referer="http://evil.mn"
    )
    return {cookie.value for cookie in visitor.jar if cookie.value and len(cookie.value) > 8} | {wrong, PASSWORD}


@pytest.mark.django_db(transaction=True)
def test_no_planted_address_ip_name_or_token_is_in_anything_that_was_written():
    server = SmtpServer()
    server.start()
    refusal = f"550 5.1.1 <{ADDRESSES[1]}> {NAMES[0]}: {IPS[0]} is unknown"
    server.behave(at="RCPT", only="refused.", answer=refusal)
    try:
        with Site(EMAIL_PORT=str(server.port), TRUSTED_PROXIES="127.0.0.1/32") as site:
            site.manage("shell", "-c", CREATE)
            key = site.manage("create_api_key", "shop", "--scope", "enqueue", "--scope", "read").strip()
            site.start("web")
            secrets = use_it(site, key) | {key}
            payloads = [payload for (payload,) in site.sql("SELECT payload FROM django_q_ormq")]
            messages = [each if each.startswith("job:") else SignedPackage.loads(each) for each in payloads]
            assert len(messages) == 4
            site.start("worker")
            eventually(lambda: site.sql("SELECT count(*) FROM job_logs WHERE status IN ('completed', 'dlq')") == [(4,)])
            secrets |= follow_links(site, server)
            written = {"messages": repr(messages), "results": repr(site.sql("SELECT * FROM django_q_task"))}
            token = Visitor(site, IPS[0])
            written["metrics"] = site.get("/metrics")[1] + token.ask("/metrics")
            site.manage("jobs", "list")
            written["jobs list"] = site.manage("jobs", "list", "--json")
            site.stop("web", "worker")
            written |= {name: site.log(name) for name in ("web", "worker")}
    finally:
        server.stop()
    assert "job dlq" in written["worker"]
    planted = [*NAMES, *ADDRESSES, *IPS, "planted", *secrets]
    found = [
        (what, line)
        for text in written.values()
        for line in text.splitlines()
        for what in planted
        if what.lower() in line.lower()
    ]
    assert found == []
    lines = [json.loads(line) for name in ("web", "worker") for line in written[name].splitlines()]
    assert {"notifier.request_logging", "jobs", "jobs.worker.entry", "gunicorn.error"} <= {
        line["logger"] for line in lines
    }
    by_job = {line["request_id"] for line in lines if line.get("event") == "job completed"}
    assert "" not in by_job
    assert by_job <= {line["request_id"] for line in lines if line["logger"] == "notifier.request_logging"}


def follow_links(site: Site, server: SmtpServer) -> set[str]:
    """Opens every link of every mail, whole and broken; the tokens in them."""
    visitor, tokens = Visitor(site, IPS[1]), set()
    for mail in server.mails:
        text = message_from_bytes(mail.raw, policy=policy.default).get_body(("plain",)).get_content()
        for path in re.findall(re.escape(site.url) + r"(/\S+)", text):
            visitor.ask(path)
            visitor.ask(path + "x")
            tokens |= {part for part in path.split("/") if len(part) > 24}
    assert tokens
    return tokens


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("to bat@example.mn.", "to <address>."),
        ("from 198.51.100.7, 2001:db8::7 and 127.0.0.1 at 12:30:01", "from <ip>, <ip> and 127.0.0.1 at 12:30:01"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer <token>"),
        ("nk_0123456789ab_" + "s" * 43, "<token>"),
        ("Нэр: Бат-Эрдэнэ (admin)", "<text>: <text>(admin)"),
        ("DETAIL:  Key (username)=(bat dorj) already exists.", "DETAIL:  Key (username)=(<row>) already exists."),
        ("Failing row contains (1, bat, x).", "Failing row contains (<row>"),
        ("https://example.mn/accounts/x?y=z is gone", "https://example.mn/<path> is gone"),
        ("job signin-4b33a6a6-6d16-4c0a-9f37-0d9f0a6f0c11", "job signin-4b33a6a6-6d16-4c0a-9f37-0d9f0a6f0c11"),
        ('File "/app/jobs/worker.py", line 12, in run', 'File "/app/jobs/worker.py", line 12, in run'),
    ],
)
def test_what_has_a_shape_is_masked_and_the_rest_stays_readable(text, shown):
    assert masking.hide(text) == shown


@pytest.mark.parametrize("key", ["name", "email", "first_name", "ip", "token", "payload", "who", "user_agent"])
def test_a_field_that_is_called_like_something_private_is_emptied(key):
    assert masking.hide_field(key, "Plantedson") == "<hidden>"
    assert masking.hide_value({"more": [{key: "Plantedson"}]}) == {"more": [{key: "<hidden>"}]}


def test_masking_a_long_line_takes_no_time_that_grows_with_its_square():
    started = time.process_time()
    masking.hide(("a" * 31 + ":1:2@" + "1." + "(" * 10) * 2_000)
    assert time.process_time() - started < 20


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("to bat@example.mn.", "to b***@example.mn."),
        ("'bat@example.mn' <дорж@жишээ.mn>", "'b***@example.mn' <д***@жишээ.mn>"),
        ("from 198.51.100.7, 2001:db8:1:2::7 at 12:30:01", "from 198.51.0.0, 2001:db8:1:: at 12:30:01"),
    ],
)
def test_what_operators_see_keeps_its_shape_and_names_no_user(text, shown):
    assert masking.abbreviate(text) == shown


def test_a_text_that_is_too_long_is_cut_in_its_middle():
    assert masking.cut("x" * 60, 50) == "x" * 25 + "\n[... 10 ...]\n" + "x" * 25


def test_what_a_terminal_would_obey_is_escaped():
    assert masking.escape_controls("a\x1b[2J\x07\u202eb\r\n\x9bc\U000e0001 Бат") == (
        "a\\u001b[2J\\u0007\\u202eb\\u000d\n\\u009bc\\udb40\\udc01 Бат"
    )
