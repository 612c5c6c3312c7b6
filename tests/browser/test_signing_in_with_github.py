"""Signing up and in with GitHub, in Chromium, against a GitHub of our own that speaks real HTTP."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.support.fake_github import ID, SECRET, FakeGitHub
from tests.support.machine import eventually
from tests.support.people import settle
from tests.support.site import Site


@pytest.fixture(scope="module")
def github() -> Iterator[FakeGitHub]:
    with FakeGitHub() as running:
        yield running


@pytest.fixture(scope="module")
def site(github: FakeGitHub) -> Iterator[Site]:
    with Site(GITHUB_URL=github.url, GITHUB_CLIENT_ID=ID, GITHUB_CLIENT_SECRET=SECRET) as running:
        running.start("mail", "worker", "web")
        yield running


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    context = browser.new_context(locale="en", base_url=site.url)
    yield context.new_page()
    context.close()


def test_a_private_address_is_asked_for_and_one_sign_in_is_one_mail_that_names_github(site, github, page):
    github.reset(1, "private", "private@example.mn")
    with_github(page)
    assert page.url == f"{site.url}/accounts/activity/"
    assert page.get_by_text("GitHub", exact=True).count() == 1
    assert "user%3Aemail" in github.asked[0]
    eventually(lambda: len(to(site, "private@example.mn")) == 1)
    with_github_again(page)
    eventually(lambda: len(to(site, "private@example.mn")) == 2)
    for mail in to(site, "private@example.mn"):
        assert "GitHub" in mail.get_body(["plain"]).get_content()
    assert sign_ins(site, "private") == [("github", False, "queued"), ("github", False, "queued")]


def test_a_person_without_an_address_is_asked_for_one_and_it_gets_nothing_before_it_is_confirmed(site, github, page):
    github.reset(2, "shy", None)
    with_github(page)
    assert page.url == f"{site.url}/accounts/3rdparty/signup/"
    page.get_by_label("Email").fill("shy@example.mn")
    page.get_by_role("button", name="Sign up").click()
    page.wait_for_url("**/accounts/activity/")
    assert sign_ins(site, "shy") == [("github", False, "unverified")]
    eventually(lambda: len(to(site, "shy@example.mn")) == 1)
    assert "/accounts/confirm-email/" in to(site, "shy@example.mn")[0].get_body(["plain"]).get_content()


def test_an_address_that_github_has_not_verified_is_not_believed(site, github, page):
    github.reset(3, "liar")
    github.emails = [{"email": "boss@example.mn", "primary": True, "verified": False}]
    with_github(page)
    assert sign_ins(site, "liar") == [("github", False, "unverified")]
    assert not [mail for mail in to(site, "boss@example.mn") if "sign-in" in mail["Subject"].lower()]


def test_an_address_of_an_account_here_does_not_give_that_account(site, github, page):
    settle(site, "owner")
    github.reset(4, "thief")
    github.emails = [{"email": "owner@example.mn", "primary": True, "verified": True}]
    with_github(page)
    assert len(sign_ins(site, "owner")) == 1, "the old one"
    assert page.url == f"{site.url}/accounts/3rdparty/signup/"


def test_saying_no_at_github_is_a_clear_page(github, page):
    github.reset()
    github.refuses = True
    with_github(page)
    assert page.get_by_role("heading", level=1).inner_text() == "Sign-in cancelled"


@pytest.mark.parametrize(
    "profile",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b"null",
        b'{"id": null, "login": "x"}',
        b'{"id": 9, "login": "x", "name": "\\u0000"}',
    ],
    ids=["nothing", "html", "list", "empty", "null", "no id", "nul"],
)
def test_an_invalid_answer_is_a_clear_page(site, github, page, profile):
    github.reset(9, "broken", "broken@example.mn")
    github.profile = profile
    with_github(page)
    assert page.get_by_role("heading", level=1).inner_text() == "The sign-in failed"
    assert site.sql("SELECT count(*) FROM accounts_user WHERE email = 'broken@example.mn'") == [(0,)]


def test_a_github_that_says_nothing_is_a_clear_page(github, page):
    github.reset()
    github.silent = 60
    with_github(page)
    assert page.get_by_role("heading", level=1).inner_text() == "The sign-in failed"
    github.silence.set()


def test_an_answer_is_good_once_and_only_in_the_browser_that_asked(site, github, page, browser):
    github.reset(6, "once", "once@example.mn")
    callbacks = []
    page.on("request", lambda request: callbacks.append(request.url) if "/callback/" in request.url else None)
    with_github(page)
    assert page.url.endswith("/accounts/activity/")
    page.locator("details.menu summary").click()
    page.get_by_role("button", name="Sign out").click()
    assert page.goto(callbacks[0]).status == 401
    with browser.new_context(locale="en") as stranger:
        assert stranger.new_page().goto(callbacks[0]).status == 401
    assert page.goto("/accounts/github/login/callback/?code=x&state=x").status == 401
    assert page.goto("/accounts/github/login/callback/").status == 401
    assert len(sign_ins(site, "once")) == 1


def test_a_name_from_github_is_cleaned_before_it_is_shown_or_mailed(site, github, page):
    github.reset(7, "rude", "rude@example.mn")
    github.profile["name"] = "\u202eBat\u2066 <b>x</b>\n" + "y" * 500
    with_github(page)
    assert page.url.endswith("/accounts/activity/")
    [(first, last)] = site.sql("SELECT first_name, last_name FROM accounts_user WHERE email = 'rude@example.mn'")
    assert f"{first}{last}".isprintable()
    assert len(first) <= 150
    assert len(last) <= 150


def with_github(page: Page) -> None:
    page.goto("/accounts/login/")
    page.get_by_role("button", name="Continue with GitHub").click()
    page.wait_for_load_state()


def with_github_again(page: Page) -> None:
    page.locator("details.menu summary").click()
    page.get_by_role("button", name="Sign out").click()
    with_github(page)


def to(site: Site, address: str) -> list:
    return [mail for mail in site.mails() if mail["To"] == address]


def sign_ins(site: Site, name: str) -> list[tuple[object, ...]]:
    """Return the sign-ins of the account with this user name, or that belongs to this GitHub user."""
    return site.sql(
        "SELECT method, new_device, notice FROM accounts_signin JOIN accounts_user u ON u.id = accounts_signin.user_id"
        " LEFT JOIN socialaccount_socialaccount s ON s.user_id = u.id"
        " WHERE username = %s OR s.extra_data ->> 'login' = %s ORDER BY at",
        name,
        name,
    )
