"""The users' pages at 390 and 1440 px, in both languages, light and dark: axe, the bar on one line, the menu."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.support.people import FIREFOX, PASSWORD, SAFARI, settle
from tests.support.site import Site

pytestmark = pytest.mark.timeout(300)

PAGES = ["/", "/help/", "/accounts/security/", "/accounts/notices/", "/accounts/activity/"]
VARIANTS = [("mn", "light", 390), ("en", "dark", 390), ("mn", "dark", 1440), ("en", "light", 1440)]
HIGHEST_BAR = 64  # px: one line
FILL = f"""
from datetime import timedelta
from django.utils import timezone
from allauth.account.models import EmailAddress
from accounts.sign_in.event import SignIn
from accounts.sign_in.known_devices import Device
from accounts.sign_in.sessions import Session
from accounts.user import User
from accounts.mail import user_agents
from jobs.core.job import JobLog
bat, now = User.objects.get(username="bat"), timezone.now()
User.objects.filter(pk=bat.pk).update(first_name="Болд", is_superuser=False)
EmailAddress.objects.create(user=bat, email=bat.email, verified=True, primary=True)
EmailAddress.objects.create(user=bat, email="a.very.long.name.of.a.mailbox@directory-of-mongolia.example.mn")
for n, agent in enumerate([{SAFARI!r}, {FIREFOX!r}]):
    browser, system = user_agents.parse_families(agent)
    at = now - timedelta(hours=7 * n + 1)
    seen = SignIn.objects.create(user=bat, browser=browser, system=system, ip=f"203.0.113.{{n}}", method="password",
        email=bat.email, language="mn", time_zone="", at=at, new_device=not n)
    Device.objects.create(user=bat, browser=browser, system=system, secret=str(n))
    Session.objects.create(session_key=seen.pk.hex, user_id=bat.pk, sign_in=seen.pk, session_data="",
        expire_date=now + timedelta(days=9))
for n, (status, kind, more) in enumerate([
    ("completed", "password_reset", {{}}),
    ("failed", "changed", {{"error_class": "unreachable"}}),
    ("dlq", "way_back", {{"dlq_reason": "suppressed"}}),
    ("discarded", "confirm_address", {{"error_class": "obsolete"}}),
]):
    payload = {{"kind": kind, "what": "password", "email": bat.email}}
    JobLog.objects.create(job_id=f"mail-{{n}}", job_type="account-mail", user_id=str(bat.pk), payload=payload,
        status=status, max_attempts=5, expires_at=now, processed_at=now, **more)
"""


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site() as running:
        running.start("web")
        settle(running, "bat", staff=True)
        running.manage("shell", "-v0", "-c", FILL)
        yield running


@pytest.fixture(params=VARIANTS, ids=["-".join(map(str, variant)) for variant in VARIANTS])
def page(request: pytest.FixtureRequest, browser: Browser, site: Site) -> Iterator[Page]:
    language, scheme, width = request.param
    context = browser.new_context(
        locale=language, color_scheme=scheme, viewport={"width": width, "height": 844}, base_url=site.url
    )
    yield context.new_page()
    context.close()


def test_every_page_is_accessible_and_its_bar_is_one_line(page):
    for path in ("/", "/help/"):
        examine(page, path, "visitor")
    sign_in(page)
    for path in PAGES:
        examine(page, path, "user")


def test_the_menu_opens_by_keyboard_and_leads_on(page):
    sign_in(page)
    menu = page.locator("details.menu")
    assert menu.get_by_role("link").first.is_hidden()
    menu.locator("summary").focus()
    page.keyboard.press("Enter")
    assert_clean(page, "the open menu")
    box = menu.locator("ul").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= page.viewport_size["width"]
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/accounts/notices/")


def test_nothing_needs_javascript(browser, site):
    with browser.new_context(java_script_enabled=False, locale="en", base_url=site.url) as context:
        page = context.new_page()
        sign_in(page)
        page.locator("details.menu summary").click()
        page.locator("details.menu").get_by_role("link", name="Help").click()
        page.wait_for_url("**/help/")
        page.goto("/accounts/security/")
        ended = page.locator("main form[action$='/end/']").last
        path = ended.get_attribute("action")
        ended.get_by_role("button", name="End session").click()
        page.wait_for_url("**/accounts/security/")
        assert page.get_by_role("status").inner_text().startswith("The session has ended:")
        assert page.locator(f"form[action='{path}']").count() == 0


def sign_in(page: Page) -> None:
    page.goto("/accounts/login/")
    page.locator("#id_login").fill("bat")
    page.locator("#id_password").fill(PASSWORD)
    page.locator("main form button.main").last.click()
    page.wait_for_url("**/accounts/activity/")


def examine(page: Page, path: str, who: str) -> None:
    page.goto(path)
    assert_clean(page, path)
    width = page.viewport_size["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    assert page.locator("header.bar").bounding_box()["height"] <= HIGHEST_BAR, path
    assert page.locator("h1").count() == 1
    if folder := os.environ.get("SCREENSHOTS"):
        language = page.locator("html").get_attribute("lang")
        dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
        name = path.strip("/").replace("/", "-") or "home"
        file = f"{who}-{name}-{width}-{language}-{'dark' if dark else 'light'}.png"
        page.screenshot(path=Path(folder) / file, full_page=True)


def assert_clean(page: Page, what: str) -> None:
    found = Axe().run(page).response["violations"]
    assert [(rule["id"], rule["nodes"][0]["target"]) for rule in found] == [], what
