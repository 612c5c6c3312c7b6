"""The operators' pages in Chromium: from the keyboard, on a phone, in the dark, under a strict CSP, by axe."""

import os

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.db import connections
from playwright.sync_api import sync_playwright

from jobs.alerts.states import AlertState
from jobs.core.job import JobLog, Status
from tests.support import machine
from tests.support.operators import EVERYTHING, LIST, job, operator, tried
from tests.support.receiver import Receiver

pytestmark = pytest.mark.django_db(transaction=True)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class StrictPolicy:
    """Middleware: what the site promises of every page that says nothing else."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", "default-src 'self'")
        return response


@pytest.fixture
def chromium(monkeypatch):
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # playwright's loop is blocked while a test queries
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=machine.chromium(), args=FLAGS)
        yield browser
        browser.close()
        connections.close_all()  # those of this loop, which Django keeps apart


@pytest.fixture
def open_page(chromium, live_server, settings):
    """A function that opens a browser window in which an operator has signed in; what the console complains of."""
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.StrictPolicy"]
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    operator(*EVERYTHING)

    def opened(width=1280, scheme="light", language="en"):
        window = chromium.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme, locale=language, base_url=live_server.url
        )
        page = window.new_page()
        page.complaints = []
        page.on(
            "console",
            lambda said: (
                said.type == "error" and "favicon" not in str(said.location) and page.complaints.append(said.text)
            ),
        )
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.goto("/admin/login/")
        page.fill("#id_username", "saraa")
        page.fill("#id_password", "a long enough password")
        page.click("[type=submit]")
        page.wait_for_url("**/admin/")
        JobLog.objects.all().delete()
        page.complaints.clear()
        return page

    return opened


def some_jobs():
    dead = job("signin-1", payload={"email": "bat@example.mn", "name": "Бат", "signInId": "x"})
    tried(dead, 1, trace="Traceback: here")
    job("signin-2", Status.FAILED)
    job("signin-3", Status.COMPLETED)
    return dead


@pytest.mark.parametrize(("width", "scheme", "language"), [(1280, "light", "en"), (360, "dark", "mn")])
def test_every_page_is_accessible_fits_its_screen_and_obeys_the_policy(open_page, width, scheme, language):
    page = open_page(width, scheme, language)
    dead = some_jobs()
    addresses = ["", "?status=all&source=x", "dead-letters/", "replay/?status=dlq", f"{dead.pk}/change/"]
    others = [
        "/admin/",
        "/admin/jobs/jobtypestate/",
        "/admin/jobs/cluster/",
        "/admin/jobs/auditentry/",
        "/admin/jobs/bulkreplay/",
    ]
    for address in [LIST + rest for rest in addresses] + others:
        page.goto(address, wait_until="networkidle")
        found = Axe().run(page, options={"iframes": False}).response["violations"]
        assert [(address, one["id"], one["nodes"][0]["target"]) for one in found] == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address
    assert page.complaints == []


@pytest.mark.parametrize(("width", "language", "button"), [(1440, "en", "Send a test alert"), (390, "mn", "Туршилтын")])
def test_the_alerts_are_read_and_a_channel_is_tested(open_page, settings, width, language, button):
    with Receiver() as receiver:
        settings.ALERT_WEBHOOK, settings.ALERT_TO = receiver.url, ["ops@example.mn"]
        page = open_page(width, "dark" if language == "mn" else "light", language)
        AlertState.objects.hold("NotifierNoWorker", "", 0, ["email-1"])
        AlertState.objects.hold("NotifierTypeIsPaused", "signin-notification", 0, [])
        AlertState.objects.hold("NotifierQueueStalled", "alert", 30, [])
        page.goto("/admin/jobs/alertstate/", wait_until="networkidle")
        if folder := os.environ.get("SCREENSHOTS"):
            page.screenshot(path=f"{folder}/alerts-{width}-{language}.png", full_page=True)
        assert Axe().run(page).response["violations"] == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.get_by_role("button", name=button).first.click()
        page.locator(".messagelist .success").wait_for()
        assert receiver.accepted[0].body["data"]["state"] == "test"
        assert page.complaints == []


def test_the_keyboard_finds_opens_and_replays_and_asks_first(open_page):
    page = open_page()
    dead = some_jobs()
    page.goto(f"{LIST}?status=dlq")
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.textContent") == "signin-1"
    page.keyboard.press("r")
    page.get_by_role("button", name="No", exact=True).click()
    assert JobLog.objects.get(pk=dead.pk).status == Status.DLQ
    page.keyboard.press("r")
    page.get_by_role("button", name="Yes, do it").click()
    page.get_by_text("Replayed 1 of 1.").wait_for()
    assert JobLog.objects.get(pk=dead.pk).status == Status.ENQUEUED
    page.keyboard.press("/")
    page.keyboard.type("signin-3")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="signin-3").wait_for()
    assert page.complaints == []


def test_shortcuts_can_be_turned_off_for_those_who_dictate(open_page):
    page = open_page()
    some_jobs()
    page.goto(LIST)
    page.keyboard.press("?")
    page.get_by_label("Single-letter shortcuts are on").uncheck()
    page.get_by_role("button", name="Close").click()
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") != "find"


def test_the_mail_is_read_in_its_frame(open_page):
    page = open_page()
    dead = some_jobs()
    page.goto(f"{LIST}{dead.pk}/change/", wait_until="networkidle")
    page.locator(".subjects a", has_text="text").last.click()
    page.wait_for_load_state("networkidle")
    assert "New sign-in" in page.frames[1].locator("body").inner_text()
    assert page.complaints == []


def test_a_job_is_discarded_without_a_mouse_on_its_own_page(open_page):
    page = open_page(360)
    dead = some_jobs()
    page.goto(f"{LIST}{dead.pk}/change/")
    page.get_by_role("button", name="Discard").press("Enter")
    page.get_by_role("button", name="Yes, do it").press("Enter")
    page.get_by_text("Discarded.").wait_for()
    assert JobLog.objects.get(pk=dead.pk).status == Status.DISCARDED
