"""The whole story in Chromium: a second browser signs in, the owner reads the mail and presses the button."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, TimeoutError

from tests.support.machine import eventually
from tests.support.site import Site

PASSWORD = "seven-Steppe-horses"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0"


@pytest.fixture
def owner(browser: Browser, site: Site) -> Iterator[BrowserContext]:
    with browser.new_context(locale="en", base_url=site.url) as context:
        yield context


@pytest.fixture
def attacker(browser: Browser, site: Site) -> Iterator[BrowserContext]:
    with browser.new_context(locale="en", base_url=site.url, user_agent=FIREFOX) as context:
        yield context


def test_the_second_browser_is_reported_and_the_button_in_its_mail_ends_both_sessions(site, owner, attacker):
    page, thiefs = owner.new_page(), attacker.new_page()
    sign_up(page, site, "bat")
    sign_in(thiefs, "bat")
    eventually(lambda: any("new device" in mail["Subject"] for mail in notices(site, "bat")))
    alerts = [mail for mail in notices(site, "bat") if "new device" in mail["Subject"]]
    assert len(alerts) == 1
    assert "Firefox" in text(alerts[0])

    link = re.search(r"http://\S+/accounts/not-me/\S+/", text(alerts[0]))[0]
    for _ in range(10):
        assert site.get(link.removeprefix(site.url))[0] == 200
    assert thiefs.goto("/accounts/activity/").url.endswith("/accounts/activity/"), "a scanner changes nothing"

    page.goto(link)
    page.get_by_role("button", name="Send").click()
    assert page.get_by_role("heading", level=1).inner_text() == "This wasn't me", "the form asks for an answer first"
    page.get_by_label("No, this wasn't me").check()
    page.get_by_role("button", name="Send").click()
    assert page.get_by_role("heading", level=1).inner_text() == "Your account is protected"
    assert "/accounts/login/" in thiefs.goto("/accounts/activity/").url
    assert "/accounts/login/" in page.goto("/accounts/activity/").url
    sign_in(thiefs, "bat")
    assert thiefs.get_by_role("alert").count() == 1, "the password is known and of no use"

    eventually(lambda: site.mails()[-1]["Subject"] and way_back(site))
    page.goto(re.search(r"http://\S+/password/reset/key/\S+", text(way_back(site)[0]))[0])
    page.get_by_label("New password", exact=True).fill("brand-New-horses")
    page.get_by_label("New password again").fill("brand-New-horses")
    page.get_by_role("button", name="Set password").click()
    assert page.get_by_role("heading", level=1).inner_text() == "Your new password is set"
    sign_in(page, "bat", "brand-New-horses")
    assert page.url.endswith("/accounts/changes/"), "a recovery leads to what was changed and held"
    eventually(lambda: [mail for mail in site.mails() if mail["To"] == "help@example.mn"])


@pytest.mark.timeout(300)
def test_two_browsers_that_sign_in_at_the_same_instant_are_two_sign_ins(site, browser):
    with browser.new_context(locale="en", base_url=site.url) as maker:
        sign_up(maker.new_page(), site, "saran")
    contexts = [browser.new_context(locale="en", base_url=site.url, user_agent=FIREFOX) for _ in range(4)]
    pages = [context.new_page() for context in contexts]
    for page in pages:
        fill_in(page, "saran")
    for page in pages:  # each is sent without waiting for the answer to the one before
        page.evaluate("document.querySelector('main form button.main').click()")
    for page in pages:
        arrive(page, "saran")
    theirs = "JOIN accounts_user u ON u.id = user_id WHERE u.email = 'saran@example.mn'"
    assert site.sql(f"SELECT count(*) FROM accounts_signin {theirs}") == [(5,)]
    devices = site.sql(f"SELECT count(*) FROM accounts_device {theirs}")
    assert devices == [(5,)], "each browser has a row and a secret of its own"
    for context in contexts:
        context.close()


def fill_in(page: Page, name: str, password: str = PASSWORD) -> None:
    page.goto("/accounts/login/")
    page.get_by_label("Username or email").fill(f"{name}@example.mn")
    page.get_by_label("Password", exact=True).fill(password)


def arrive(page: Page, name: str) -> None:
    """Wait for the activity page; a site that is too busy (503) asks to try again, and a person does."""
    for _ in range(5):
        try:
            return page.wait_for_url("**/accounts/activity/", timeout=20_000)
        except TimeoutError:
            sign_in(page, name)
    raise AssertionError(page.inner_text("body"))


def sign_up(page: Page, site: Site, name: str) -> None:
    page.goto("/accounts/signup/")
    page.get_by_label("Email").fill(f"{name}@example.mn")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign up").click()
    page.wait_for_url("**/accounts/activity/")
    eventually(lambda: any(mail["To"] == f"{name}@example.mn" for mail in site.mails()))
    confirm = next(mail for mail in site.mails() if mail["To"] == f"{name}@example.mn")
    page.goto(re.search(r"http://\S+/confirm-email/\S+/", text(confirm))[0])
    page.get_by_role("button", name="Yes, it is mine").click()
    page.get_by_label("New password", exact=True).fill(PASSWORD)
    page.get_by_label("New password again").fill(PASSWORD)
    page.get_by_role("button", name="Set password").click()
    sign_in(page, name)


def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    fill_in(page, name, password)
    page.locator("main").get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_load_state()


def notices(site: Site, name: str) -> list:
    return [mail for mail in site.mails() if mail["To"] == f"{name}@example.mn" and mail["Subject"].startswith("🔐")]


def way_back(site: Site) -> list:
    return [mail for mail in site.mails() if mail["Subject"].startswith("Recover your account")]


def text(mail) -> str:
    return mail.get_body(["plain"]).get_content()
