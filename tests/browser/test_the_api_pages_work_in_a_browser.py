"""/api/docs in Chromium, from this site alone and under its policy: a key is given, a notice sent from the page."""

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.support.machine import chromium
from tests.support.site import Site

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture(scope="module")
def site():
    with Site() as site:
        site.start("web")
        yield site


@pytest.fixture
def page():
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield browser.new_page(viewport={"width": 1280, "height": 900})
        browser.close()


def test_a_notice_is_sent_from_the_page(site, page):
    complaints, elsewhere = [], []
    page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda sent: elsewhere.append(sent.url) if not sent.url.startswith(site.url) else None)
    token = site.manage("create_api_key", "shop", "--for", "send").split()[-1]
    answer = page.goto(f"{site.url}/api/docs")
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    expect(page.locator("section.operation")).to_have_count(19)
    page.locator("#api-key").fill(token)
    posted = operation(page, "enqueueSignInNotification")
    posted.locator("form button").click()
    expect(posted.get_by_role("status")).to_contain_text("202")
    read = operation(page, "readJob")
    read.locator("[name=jobId]").fill("shop-signin-7f3a")
    read.locator("form button").click()
    expect(read.get_by_role("status")).to_contain_text("enqueued")
    assert site.sql("SELECT count(*) FROM job_logs WHERE source = 'shop'") == [(1,)]
    assert complaints == []
    listed = operation(page, "listJobs")
    listed.locator("[name=limit]").fill("0")
    listed.locator("form button").click()
    expect(listed.get_by_role("status")).to_contain_text("invalid-fields")
    assert elsewhere == []


def test_a_signed_in_operator_needs_no_key_in_the_page(site, page):
    script = (
        "from accounts.models import User; User.objects.create_superuser('boss', 'boss@example.mn', 'a-Long-Pass-1')"
    )
    site.manage("shell", "-c", script)
    page.goto(f"{site.url}/admin/login/")
    page.fill("#id_username", "boss")
    page.fill("#id_password", "a-Long-Pass-1")
    page.press("#id_password", "Enter")
    page.wait_for_url(f"{site.url}/admin/")
    page.goto(f"{site.url}/api/docs")
    replayed = operation(page, "replayDeadLetters")
    replayed.locator("textarea").fill('{"filter": {}, "dryRun": true}')
    replayed.locator("form button").click()
    expect(replayed.get_by_role("status")).to_contain_text("202")


def test_without_a_script_it_is_the_whole_reference_and_offers_nothing_that_cannot_work(site):
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=chromium(), args=FLAGS)
        page = browser.new_page(java_script_enabled=False)
        page.goto(f"{site.url}/api/docs")
        expect(page.locator("section.operation")).to_have_count(19)
        expect(page.get_by_text("RFC 3339 with a zone; at most 24 hours old").first).to_be_visible()
        expect(page.locator("#curl-enqueueSignInNotification")).to_contain_text('"deviceId"')
        assert page.locator("button:visible").all_inner_texts() == ["Монгол", "English"]
        browser.close()


def test_every_call_is_reached_by_keyboard(site, page):
    page.goto(f"{site.url}/api/docs")
    page.locator("#api-key").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "#enqueueSignInNotification"
    page.locator("#enqueueSignInNotification-body").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(operation(page, "enqueueSignInNotification").get_by_role("status")).to_contain_text("40")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('role')") == "status", "the response can be scrolled"


def operation(page, name):
    """The part of the page about one operation."""
    return page.locator(f"section:has(#{name})")
