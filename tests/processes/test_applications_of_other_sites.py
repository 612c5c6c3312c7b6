"""Applications of other sites: next-auth and better-auth in Next.js, and a Worker, against the real Notifier.

Each signs a user in through an identity provider. Notifier counts all sign-ins for one user. The button in its email is
pressed in Chromium, and the event that the worker then sends to the application ends the user's sessions. The packages
come from the npm registry, so `make test-world` runs these tests.
"""

import json
import re
import urllib.parse
from pathlib import Path

import pytest

from tests.support import dispute_page
from tests.support.applications import (
    Application,
    Visitor,
    installed_applications,
    next_application,
    worker_application,
)
from tests.support.fake_openid import CLIENT_ID, CLIENT_SECRET, FakeOpenId
from tests.support.machine import eventually
from tests.support.npm import QUIET, copied_client, npm
from tests.support.ports import free_port
from tests.support.site import Site

pytestmark = [pytest.mark.slow, pytest.mark.world, pytest.mark.timeout(900)]
SIGN_IN = {"timestamp": "2026-03-01T01:30:00Z", "provider": "sso", "browser": "Chrome", "system": "Windows"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The applications with their packages, and with the client as it is published."""
    client = copied_client(tmp_path_factory.mktemp("client"))
    npm(client, "ci", *QUIET)
    npm(client, "run", "build")
    npm(client, "pack", "--silent")
    return installed_applications(tmp_path_factory.mktemp("applications"), next(client.glob("*.tgz")))


@pytest.fixture(scope="module")
def notifier():
    with Site(EVENT_ALLOW_PRIVATE="1") as site:
        site.start("mail", "web", "worker")
        yield site


@pytest.fixture
def settings_of(notifier):
    """The environment of an application: its key, its secrets, and an identity provider with one user.

    events: the path of its event endpoint.
    """

    def make(name: str, openid: FakeOpenId, url: str, events: str = "/api/notifier") -> dict[str, str]:
        site = (
            f"--url https://{name}.example --secure-url https://{name}.example/account --colour #0055aa --language en"
        )
        support = ("--support-email", f"help@{name}.example")
        notifier.manage("create_site", name, "--name", brand_of(name), *site.split(), *support)
        key = notifier.manage("create_api_key", name, "--site", name, "--scope", "enqueue").split()[-1]
        secret = notifier.manage("create_event_endpoint", name, url + events).split()[-1]
        own = {"AUTH_URL": url, "AUTH_TRUST_HOST": "1", "AUTH_SECRET": "s" * 32}
        own |= {"BETTER_AUTH_URL": url, "BETTER_AUTH_SECRET": "s" * 32}
        sso = {"SSO_ISSUER": openid.url, "SSO_CLIENT_ID": CLIENT_ID, "SSO_CLIENT_SECRET": CLIENT_SECRET}
        ours = {"NOTIFIER_URL": notifier.url, "NOTIFIER_API_KEY": key, "NOTIFIER_EVENTS_SECRET": secret}
        return {**ours, **own, **sso}

    return make


def brand_of(name: str) -> str:
    """The name of a site in its emails."""
    return f"Shop {name}"


def jobs_of(notifier: Site, name: str) -> list[tuple[str, str]]:
    """The user's id and the job's id of each notice of a site, oldest first."""
    statement = (
        "SELECT user_id, job_id FROM job_logs WHERE source = %s AND job_type = 'signin-notification' "
        "ORDER BY created_at"
    )
    return [(str(user), str(job)) for user, job in notifier.sql(statement, name)]


def results(application: Application) -> list[dict]:
    """What Notifier answered, as the application has logged it."""
    found = re.findall(r"the sign-in was reported: (\{.*\})", application.log)
    return [json.loads(result) for result in found]


def dispute(user: str) -> dict[str, object]:
    """The data of a `sign_in.disputed` event."""
    sign_in = {**SIGN_IN, "newDevice": True, "signals": []}
    return {"jobId": "one", "userId": user, "disputedAt": "2026-03-01T02:00:00Z", "signIn": sign_in}


def sessions_end(application: Application, notifier: Site, name: str, sign_in, browser, folder: Path) -> bool:
    """Sign in twice with one browser and once with another, then dispute; return whether all sessions have ended.

    folder: of the pictures of the email and of the pages.
    """
    visitor, other = Visitor(application), Visitor(application)
    assert "signed out" in visitor.open("/")
    for each in (visitor, visitor, other):
        sign_in(each)
        assert "bat@example.mn" in each.open("/")
    jobs = eventually(lambda: (found := jobs_of(notifier, name)) and len(found) == 3 and found)
    assert len({user for user, _ in jobs}) == 1
    assert len({job for _, job in jobs}) == 3
    first, second, third = eventually(lambda: (found := results(application)) and len(found) == 3 and found)
    assert {first["outcome"], second["outcome"], third["outcome"]} == {"accepted"}
    assert second.get("newDevice", False) is False
    assert len(visitor.cookie("notifier_device")) == 32
    assert visitor.cookie("notifier_device") != other.cookie("notifier_device")

    ((user, _), *_) = jobs
    assert application.send("/api/notifier", "sign_in.disputed", dispute(user), secret="whsec_" + "A" * 43 + "=") == 401
    assert application.send("/api/notifier", "sign_in.disputed", dispute("another user")) == 204
    mail = dispute_page.latest_mail(notifier, brand_of(name), "bat@example.mn", 3)
    assert "bat@example.mn" in visitor.open("/"), "nothing but the report of its own user ends a session"
    followed = dispute_page.press(browser, mail, folder / name)
    assert f"{brand_of(name)} has been notified" in followed
    dispute_page.delivered(notifier, name)
    dispute_page.latest_mail(notifier, brand_of(name), f"help@{name}.example", 1)
    return all("signed out" in each.open("/") for each in (visitor, other))


def test_next_auth_5_reports_sign_ins_and_a_dispute_ends_its_database_sessions(
    folder, notifier, settings_of, browser, tmp_path
):
    def sign_in(visitor: Visitor) -> None:
        token = json.loads(visitor.open("/api/auth/csrf"))["csrfToken"]
        visitor.open("/api/auth/signin/sso", urllib.parse.urlencode({"csrfToken": token}).encode())

    port = free_port()
    with FakeOpenId() as openid:
        settings = settings_of("authjs", openid, f"http://localhost:{port}")
        with next_application(folder, "authjs", port, **settings) as application:
            assert sessions_end(application, notifier, "authjs", sign_in, browser, tmp_path)
            assert application.send("/edge", "ping", {}) == 204
            assert application.send("/edge", "ping", {}, secret="whsec_" + "A" * 43 + "=") == 401


def test_better_auth_reports_sign_ins_and_a_dispute_ends_its_sessions(folder, notifier, settings_of, browser, tmp_path):
    def sign_in(visitor: Visitor) -> None:
        asked = json.dumps({"provider": "sso", "callbackURL": "/"}).encode()
        headers = {"Content-Type": "application/json"}
        visitor.open(json.loads(visitor.open("/api/auth/sign-in/social", asked, **headers))["url"])

    port = free_port()
    with FakeOpenId() as openid:
        settings = settings_of("better-auth", openid, f"http://localhost:{port}")
        with next_application(folder, "better-auth", port, **settings) as application:
            assert sessions_end(application, notifier, "better-auth", sign_in, browser, tmp_path)


def test_a_worker_reports_sign_ins_and_verifies_events(folder, notifier, settings_of):
    port = free_port()
    with FakeOpenId() as openid:
        settings = settings_of("worker", openid, f"http://localhost:{port}", events="/")
        with worker_application(folder, port, **settings) as application:
            result = json.loads(Visitor(application).open("/sign-in", b""))
            assert result["outcome"] == "accepted"
            assert [user for user, _ in jobs_of(notifier, "worker")] == ["worker-1"]
            mail = dispute_page.latest_mail(notifier, brand_of("worker"), "worker@example.mn", 1)
            assert "has been notified" in dispute_page.post_form(dispute_page.link_in(mail))
            dispute_page.delivered(notifier, "worker")
            assert application.send("/", "ping", {}, secret="whsec_" + "A" * 43 + "=") == 401
