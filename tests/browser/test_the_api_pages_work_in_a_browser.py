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
    token = site.manage("create_api_key", "shop", "--scope", "enqueue").split()[-1]
    answer = page.goto(f"{site.url}/api/docs")
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    expect(page.locator(".opblock")).to_have_count(19)
    page.get_by_role("button", name="Authorize").first.click()
    page.locator("[id*=BearerKey], .auth-container input[type=text]").first.fill(token)
    page.locator(".auth-btn-wrapper .authorize").first.click()
    page.locator(".btn-done").first.click()
    page.locator(".opblock-summary-post").first.click()
    page.get_by_role("button", name="Try it out").click()
    body = page.locator("textarea.body-param__text")
    body.fill(body.input_value().replace("2026-03-01T09:30:00+08:00", page.evaluate("new Date().toISOString()")))
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".live-responses-table tbody .response-col_status").first).to_contain_text("202")
    assert site.sql("SELECT count(*) FROM job_logs WHERE source = 'shop'") == [(1,)]
    assert (complaints, elsewhere) == ([], [])


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
    page.locator("#operations-Dead_letters-replayDeadLetters .opblock-summary").click()
    page.get_by_role("button", name="Try it out").click()
    page.locator("textarea.body-param__text").fill('{"filter": {}, "dryRun": true}')
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".live-responses-table tbody .response-col_status").first).to_contain_text("202")
