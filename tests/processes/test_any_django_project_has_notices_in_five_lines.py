"""clients/python: its wheel and the five lines of its README, in stock Django projects, against the real site."""

import base64
import hashlib
import hmac
import json
import shutil
import subprocess
import sys
import time
import urllib.request
import uuid
import zipfile
from pathlib import Path

import pytest

from tests.support import dispute_page
from tests.support.django_project import (
    CLIENT,
    EMAIL,
    DjangoProject,
    Visitor,
    build_wheel,
    lines_for,
    make_environment,
    run,
)
from tests.support.machine import eventually
from tests.support.site import Site

pytestmark = pytest.mark.timeout(300)
EVENTS = "/notifier/events/"
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0"
SAFARI = "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1 (KHTML, like Gecko) Version/17.5 Safari/605.1"
WORLD = [("python3.10", "Django>=4.2,<5"), ("python3.12", "Django>=6,<7")]


@pytest.fixture(scope="module")
def site():
    with Site(EVENT_ALLOW_PRIVATE="1") as running:
        running.start("mail", "web", "worker")
        yield running


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def python(tmp_path_factory, wheel) -> Path:
    return make_environment(tmp_path_factory.mktemp("environment"), wheel)


def project(python: Path, folder: Path, site: Site, *, custom_user: bool) -> DjangoProject:
    """Make a project that is a site of its own at Notifier, named like its last folder, with an event endpoint."""
    name = folder.name
    site.manage("create_site", name, "--name", name, "--language", "en")
    scopes = ("--scope", "enqueue", "--scope", "admin")
    key = site.manage("create_api_key", name, "--site", name, *scopes).split()[-1]
    made = DjangoProject(python, folder, notifier=site.url, custom_user=custom_user, NOTIFIER_KEY=key)
    made.environment["NOTIFIER_EVENT_SECRET"] = create_endpoint(site, key, f"{Visitor(made).url}{EVENTS}")
    return made


def create_endpoint(site: Site, key: str, url: str) -> str:
    """Create an event endpoint over the API, as the developer of a site does, and return its secret."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    body = json.dumps({"url": url, "types": ["sign_in.disputed"]}).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{site.url}/api/event-endpoints", body, headers)) as created:
        return str(json.loads(created.read())["secret"])


def interpreter(name: str) -> Path | str:
    """Return a Python of a version: pyenv's, or the machine's. Skip the test without one."""
    versions = Path.home() / ".pyenv" / "versions"
    found = sorted(versions.glob(f"{name.removeprefix('python')}.*/bin/python"))
    return found[-1] if found else shutil.which(name) or pytest.skip(f"{name} is missing")


def notices(site: Site, shop: DjangoProject) -> list[tuple[str, bool, bool]]:
    """The user's id of each notice, whether it goes to the user's address, and whether the device is new."""
    rows = site.sql(
        "SELECT job_logs.user_id, payload, new_device FROM job_logs JOIN accounts_signin ON site_job = job_id "
        "WHERE source = %s ORDER BY at",
        shop.folder.name,
    )
    return [(user_id, EMAIL in json.dumps(payload), new_device) for user_id, payload, new_device in rows]


def send_unsigned(visitor: Visitor, user_id: str) -> int:
    """Post the event as docs/events.md describes it, signed with another secret. Return the status."""
    now, event_id = int(time.time()), f"evt_{uuid.uuid4().hex}"
    date = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
    sign_in = {"timestamp": date, "provider": "password", "browser": "", "system": "", "newDevice": True, "signals": []}
    data = {"jobId": "signin-1", "userId": user_id, "disputedAt": date, "signIn": sign_in}
    body = json.dumps({"type": "sign_in.disputed", "timestamp": date, "data": data}).encode()
    digest = hmac.new(b"another secret", f"{event_id}.{now}.".encode() + body, hashlib.sha256).digest()
    headers = {"webhook-id": event_id, "webhook-timestamp": str(now), "Content-Type": "application/json"}
    headers["webhook-signature"] = "v1," + base64.b64encode(digest).decode()
    return visitor.send(EVENTS, body, **headers)


def walk(shop: DjangoProject, site: Site) -> str:
    """Sign in with two browsers, press the button in an email, and see both sessions end. Return the user's id."""
    name = shop.folder.name
    with shop:
        first, second = Visitor(shop, CHROME), Visitor(shop, SAFARI)
        first.sign_in()
        eventually(lambda: len(notices(site, shop)) == 1)
        first.user_agent = FIREFOX  # the cookie shows that it is the same device
        first.sign_in()
        eventually(lambda: len(notices(site, shop)) == 2)
        second.sign_in()
        eventually(lambda: len(notices(site, shop)) == 3)
        user_id = notices(site, shop)[0][0]
        assert notices(site, shop) == [(user_id, True, False), (user_id, True, False), (user_id, True, True)]
        assert send_unsigned(Visitor(shop), user_id) == 400
        mail = dispute_page.latest_mail(site, name, EMAIL, 3)
        assert first.is_signed_in()
        assert second.is_signed_in()
        assert f"{name} has been notified" in dispute_page.post_form(dispute_page.link_in(mail))
        dispute_page.delivered(site, name)
        assert not first.is_signed_in()
        assert not second.is_signed_in()
        first.sign_in()
        assert first.is_signed_in()
    return user_id


def walk_both_users(python: Path, folder: Path, site: Site) -> list[str]:
    """Walk with the stock user model, then with one of the project's own. Return the users' ids."""
    user_ids = []
    for custom_user in (False, True):
        shop = project(python, folder / f"shop-{python.parts[-3]}-{custom_user}".lower(), site, custom_user=custom_user)
        shop.prepare()
        assert "no issues" in shop.manage("check", "--fail-level", "WARNING")
        user_ids.append(walk(shop, site))
    return user_ids


def test_the_setup_is_five_lines():
    lines = (lines_for("settings.py") + lines_for("urls.py")).split("\n")
    assert len([line for line in lines if line]) == 5


def test_the_wheel_has_the_package_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names} == {"notifier_client", "notifier_client-1.0.0.dist-info"}
    assert {"notifier_client/py.typed", "notifier_client/django/migrations/0001_initial.py"} <= set(names)
    metadata = zipfile.ZipFile(wheel).read("notifier_client-1.0.0.dist-info/METADATA").decode()
    assert "License-Expression: MIT" in metadata
    assert "Requires-Dist" not in metadata


def test_a_stock_project_and_one_with_its_own_user_model_follow_the_readme(python, site, tmp_path):
    stock, own = walk_both_users(python, tmp_path, site)
    assert stock == "1"
    assert str(uuid.UUID(own)) == own


def test_sessions_end_in_every_engine(python, site, tmp_path):
    for engine in ("cache", "signed_cookies"):  # the stock project has "db"
        shop = project(python, tmp_path / f"shop-{engine}".replace("_", "-"), site, custom_user=False)
        shop.set_session_engine(engine)
        shop.prepare()
        assert walk(shop, site) == "1"


def test_a_project_without_the_secrets_is_shown_what_is_missing(python, site, tmp_path):
    shop = project(python, tmp_path / "shop", site, custom_user=False)
    shop.environment = {name: value for name, value in shop.environment.items() if not name.startswith("NOTIFIER")}
    with pytest.raises(AssertionError, match=r"notifier_client\.E002.*NOTIFIER_KEY"):
        shop.manage("check")


def test_the_tests_of_the_client_pass():
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"], cwd=CLIENT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-5000:]


@pytest.mark.world
@pytest.mark.parametrize(("name", "requirement"), WORLD)
def test_other_versions_of_python_and_django_follow_the_readme(name, requirement, wheel, site, tmp_path):
    environment = tmp_path / name.replace(".", "")  # the projects, and so their sites at Notifier, are named after it
    run(interpreter(name), "-m", "venv", environment)
    python = environment / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", requirement, "pytest", "tzdata", wheel)
    assert len(walk_both_users(python, tmp_path, site)) == 2
    run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=CLIENT)
