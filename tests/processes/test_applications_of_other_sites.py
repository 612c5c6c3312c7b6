"""Applications of other sites: next-auth and better-auth in Next.js, and a Worker, against the real Notifier.

Each signs a user in twice through an identity provider. Notifier counts both for one user, and an event of a dispute
ends the sessions. The packages come from the npm registry, so `make test-world` runs these tests.
"""

import json
import re
import urllib.parse

import pytest

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
    with Site() as site:
        site.start("mail", "web", "worker")
        yield site


@pytest.fixture
def settings_of(notifier):
    """The environment of an application: its key, its own secrets, and an identity provider with one user."""

    def make(name: str, openid: FakeOpenId, url: str) -> dict[str, str]:
        key = notifier.manage("create_api_key", name, "--scope", "enqueue").split()[-1]
        own = {"AUTH_URL": url, "AUTH_TRUST_HOST": "1", "AUTH_SECRET": "s" * 32}
        own |= {"BETTER_AUTH_URL": url, "BETTER_AUTH_SECRET": "s" * 32}
        sso = {"SSO_ISSUER": openid.url, "SSO_CLIENT_ID": CLIENT_ID, "SSO_CLIENT_SECRET": CLIENT_SECRET}
        return {"NOTIFIER_URL": notifier.url, "NOTIFIER_API_KEY": key, **own, **sso}

    return make


def jobs_of(notifier: Site, name: str) -> list[tuple[str, str]]:
    """The user's id and the job's id of each notice of a site, oldest first."""
    statement = "SELECT user_id, job_id FROM job_logs WHERE source = %s ORDER BY created_at"
    return [(str(user), str(job)) for user, job in notifier.sql(statement, name)]


def results(application: Application) -> list[dict]:
    """What Notifier answered, as the application has logged it."""
    found = re.findall(r"the sign-in was reported: (\{.*\})", application.log)
    return [json.loads(result) for result in found]


def dispute(user: str) -> dict[str, object]:
    """The data of a `sign_in.disputed` event."""
    sign_in = {**SIGN_IN, "newDevice": True, "signals": []}
    return {"jobId": "one", "userId": user, "disputedAt": "2026-03-01T02:00:00Z", "signIn": sign_in}


def sessions_end(application: Application, notifier: Site, name: str, sign_in) -> bool:
    """Sign in twice with one browser and once with another, then dispute; return whether all sessions have ended."""
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
    assert "bat@example.mn" in visitor.open("/")
    assert application.send("/api/notifier", "sign_in.disputed", dispute(user)) == 204
    return all("signed out" in each.open("/") for each in (visitor, other))


def test_next_auth_5_reports_sign_ins_and_a_dispute_ends_its_database_sessions(folder, notifier, settings_of):
    def sign_in(visitor: Visitor) -> None:
        token = json.loads(visitor.open("/api/auth/csrf"))["csrfToken"]
        visitor.open("/api/auth/signin/sso", urllib.parse.urlencode({"csrfToken": token}).encode())

    port = free_port()
    with FakeOpenId() as openid:
        settings = settings_of("authjs", openid, f"http://localhost:{port}")
        with next_application(folder, "authjs", port, **settings) as application:
            assert sessions_end(application, notifier, "authjs", sign_in)
            assert application.send("/edge", "ping", {}) == 204
            assert application.send("/edge", "ping", {}, secret="whsec_" + "A" * 43 + "=") == 401


def test_better_auth_reports_sign_ins_and_a_dispute_ends_its_sessions(folder, notifier, settings_of):
    def sign_in(visitor: Visitor) -> None:
        asked = json.dumps({"provider": "sso", "callbackURL": "/"}).encode()
        headers = {"Content-Type": "application/json"}
        visitor.open(json.loads(visitor.open("/api/auth/sign-in/social", asked, **headers))["url"])

    port = free_port()
    with FakeOpenId() as openid:
        settings = settings_of("better-auth", openid, f"http://localhost:{port}")
        with next_application(folder, "better-auth", port, **settings) as application:
            assert sessions_end(application, notifier, "better-auth", sign_in)


def test_a_worker_reports_sign_ins_and_verifies_events(folder, notifier, settings_of):
    with FakeOpenId() as openid, worker_application(folder, **settings_of("worker", openid, "")) as application:
        result = json.loads(Visitor(application).open("/sign-in", b""))
        assert result["outcome"] == "accepted"
        assert [user for user, _ in jobs_of(notifier, "worker")] == ["worker-1"]
        assert application.send("/", "sign_in.disputed", dispute("worker-1")) == 204
        assert application.send("/", "ping", {}, secret="whsec_" + "A" * 43 + "=") == 401
