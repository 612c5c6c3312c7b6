"""Passkeys in Chromium, with a virtual authenticator: added, used, lost, recovered, and refused when used elsewhere."""

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, CDPSession, Page

from tests.support.factors import code
from tests.support.people import PASSWORD, settle
from tests.support.ports import free_port
from tests.support.site import Site

DEVICE = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site(STAFF_MFA="required") as running:
        running.url = f"http://localhost:{running.port}"
        running.environment["SITE_URL"] = running.url
        running.start("web")
        for name in ("bat", "saraa", "tomor", "dorj"):
            settle(running, name)
        settle(running, "boss", staff=True)
        yield running


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    context = browser.new_context(locale="en", base_url=site.url)
    yield context.new_page()
    context.close()


@pytest.fixture
def device(page: Page) -> CDPSession:
    """The page's own authenticator, which confirms each request with its user's fingerprint."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    session.send("WebAuthn.addVirtualAuthenticator", {"options": DEVICE})
    return session


def sign_in(page: Page, name: str, path: str = "/accounts/login/") -> None:
    page.goto(path)
    page.locator("#id_login, #id_username").fill(name)
    page.locator("#id_password").fill(PASSWORD)
    page.locator("#id_password").press("Enter")
    page.wait_for_load_state()


def confirm(page: Page) -> None:
    """Gives the password again, when a page asks for it."""
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Continue").click()


def add_passkey(page: Page, name: str = "My phone") -> list[str]:
    """Adds a passkey and returns the recovery codes that come with the first."""
    page.get_by_role("link", name="Add a passkey").click()
    confirm(page)
    page.get_by_label("Name of the passkey").fill(name)
    page.get_by_role("button", name="Add a passkey").click()
    page.get_by_text("The passkey is added").wait_for()
    return page.locator("ul.codes code").all_text_contents()


def sign_out(page: Page) -> None:
    page.locator("details.menu summary").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/")


def test_a_passkey_is_added_used_lost_and_recovered_from(site, page, device):
    sign_in(page, "bat")
    page.goto("/accounts/2fa/")
    codes = add_passkey(page)
    assert len(codes) == 10
    sign_out(page)

    page.goto("/accounts/login/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url("**/accounts/activity/")
    assert page.locator("dd", has_text=re.compile("^passkey$")).count() == 1
    sign_out(page)

    sign_in(page, "bat")  # with the password: the passkey is the second step
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url("**/accounts/activity/")
    assert page.locator("dd", has_text="password and passkey").count() == 1
    sign_out(page)

    device.send("WebAuthn.disable")  # the phone is lost
    sign_in(page, "bat")
    page.get_by_label("Recovery code").fill(codes[0])
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url("**/accounts/activity/")
    page.goto("/accounts/2fa/")
    page.get_by_text("Codes left: 9 of 10").wait_for()
    page.get_by_role("link", name="Remove My phone").click()
    page.get_by_role("link", name="Use a code").click()
    page.get_by_label("Code from your app, or a recovery code").fill(codes[1])
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Remove").click()
    page.get_by_text("The passkey is removed").wait_for()
    left = "SELECT count(*) FROM mfa_authenticator JOIN accounts_user u ON u.id = user_id WHERE username = 'bat'"
    assert site.sql(left) == [(0,)]


def test_a_passkey_that_was_used_on_another_origin_is_refused_clearly(site, page, device):
    sign_in(page, "saraa")
    page.goto("/accounts/2fa/")
    add_passkey(page)
    sign_out(page)
    page.goto("/accounts/login/")
    token = page.locator("form[data-passkey] [name=csrfmiddlewaretoken]").get_attribute("value")
    login = f"{site.url}/accounts/2fa/webauthn/login/"
    options = page.request.get(login, headers={"accept": "application/json"}).json()["request_options"]
    script = page.request.get(f"{site.url}/static/mfa/js/webauthn-json.js").text()
    elsewhere = f"http://localhost:{free_port()}/"
    page.route(elsewhere, lambda route: route.fulfill(content_type="text/html", body="<h1>An imitation</h1>"))
    page.goto(elsewhere)
    page.evaluate(script)
    credential = page.evaluate("async o => JSON.stringify(await webauthnJSON.get(o))", options)
    assert json.loads(credential)["response"]["signature"]
    form = {"csrfmiddlewaretoken": token, "credential": credential}
    headers = {"referer": f"{site.url}/accounts/login/", "accept-language": "en"}
    answer = page.request.post(login, form=form, headers=headers)
    assert answer.status == 200
    assert "This passkey was not accepted" in answer.text()
    page.goto(f"{site.url}/accounts/activity/")
    assert "/accounts/login/" in page.url


def test_a_device_without_a_passkey_of_this_site_is_shown_the_other_ways(page, device):
    page.goto("/accounts/login/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.get_by_text("The passkey could not be used").wait_for()
    assert page.locator("#id_login").is_visible()


def test_a_removed_passkey_is_refused_clearly(site, page, device):
    sign_in(page, "tomor")
    page.goto("/accounts/2fa/")
    add_passkey(page)
    sign_out(page)
    site.sql("DELETE FROM mfa_authenticator")
    page.goto("/accounts/login/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.get_by_text("This passkey was not accepted").wait_for()
    assert page.url.endswith("/accounts/login/")


def test_staff_are_led_to_add_a_passkey_and_then_to_the_administration(site, page, device):
    sign_in(page, "boss", "/admin/")
    page.get_by_text("Add a passkey or an authenticator app first").wait_for()
    assert len(add_passkey(page)) == 10
    page.get_by_role("link", name="I have kept them, continue").click()
    page.wait_for_url("**/admin/")
    page.locator("#site-name").wait_for()
    page.goto("/admin/jobs/joblog/")
    assert page.locator("#site-name").is_visible()


def test_an_app_is_added_without_javascript(site, browser):
    context = browser.new_context(locale="en", base_url=site.url, java_script_enabled=False)
    page = context.new_page()
    sign_in(page, "dorj")
    page.goto("/accounts/2fa/")
    page.get_by_role("link", name="Add an authenticator app").click()
    confirm(page)
    picture = page.locator(".qr img")
    assert picture.bounding_box()["width"] >= 200
    assert page.request.get(picture.get_attribute("src")).headers["content-type"] == "image/svg+xml"
    page.get_by_label("Code that the app shows").fill(code(page.locator("code.secret").text_content()))
    page.get_by_role("button", name="Add").click()
    page.get_by_text("The authenticator app is added").wait_for()
    context.close()
