"""The operator's story, in Chromium and from the keyboard alone, on a site that runs: the mail server breaks, the
overview says so automatically, one dead letter is read, the server is repaired, all are replayed, all is calm again."""

import json
import subprocess
import sys

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.support.machine import eventually
from tests.support.ports import free_port
from tests.support.postgres import die_with_parent
from tests.support.site import ROOT, Site

JOBS = 24
PREPARE = """
from accounts.models import User
from django.contrib.auth.models import Permission
user = User.objects.create_user("saraa", is_staff=True, password="a long enough password", notify_sign_ins=False)
user.user_permissions.set(Permission.objects.filter(content_type__app_label="jobs"))
"""
SIGN_INS = f"""
from jobs.queue.enqueue import enqueue
for number in range({JOBS}):
    payload = {{"email": f"person{{number}}@example.com", "name": "Бат", "provider": "github", "locale": "mn",
               "ipAddress": "203.0.113.9", "browser": "Chrome", "system": "Windows", "timezone": "Asia/Ulaanbaatar",
               "timestamp": "2026-01-31T08:00:00+00:00", "newDevice": False, "userId": str(number)}}
    enqueue("signin-notification", payload, job_id=f"story-{{number}}", user_id=str(number), source="shop")
"""


class MailServer:
    """A mail server of its own process, broken and repaired by a file."""

    def __init__(self, folder):
        self.port, self.log, self.control = free_port(), folder / "mails.jsonl", folder / "behaviour.json"
        command = ["-m", "tests.support.smtp_server", "--port", str(self.port), "--log", str(self.log)]
        self.process = subprocess.Popen(
            [sys.executable, *command, "--control", str(self.control)], cwd=ROOT, preexec_fn=die_with_parent
        )

    def behave(self, **how):
        self.control.write_text(json.dumps(how))

    def taken(self):
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [mail for mail in map(json.loads, lines) if "person" in mail["rcpt"][0]]


@pytest.fixture
def mail_server(tmp_path):
    server = MailServer(tmp_path)
    yield server
    server.process.terminate()
    server.process.wait(10)


class Operator:
    """A browser window of hers, and what its console complains of."""

    def __init__(self, browser, site, folder):
        window = browser.new_context(base_url=site.url, locale="en", viewport={"width": 1280, "height": 900})
        self.page, self.complaints, self.folder = window.new_page(), [], folder
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _said(self, said):
        if said.type == "error" and "favicon" not in str(said.location):
            self.complaints.append(f"{said.text} {said.location}")

    def type(self, *keys):
        for key in keys:
            self.page.keyboard.press(key) if key in ("Tab", "Enter", "j") else self.page.keyboard.type(key)

    def follow(self, text):
        """Presses Tab until what has the focus says `text`, then Enter."""
        for _ in range(150):
            self.type("Tab")
            if self.page.evaluate("document.activeElement.innerText || ''").startswith(text):
                return self.type("Enter")
        raise AssertionError(f"no Tab leads to {text!r}")

    def wait(self, what):
        there = self.page.locator(what) if what[0] in ".#" else self.page.get_by_text(what)
        there.first.wait_for(timeout=60_000)

    def looks(self, name):
        """The page has broken no policy, axe finds nothing in it, and there is a picture of it."""
        assert "\n".join(self.complaints) == ""
        found = Axe().run(self.page, options={"iframes": False}).response["violations"]
        assert [(name, one["id"], one["nodes"][0]["target"]) for one in found] == []
        self.page.screenshot(path=self.folder / f"{name}.png", full_page=True)
        self.complaints.clear()  # the picture itself needs a style of its own, which the policy refuses


@pytest.mark.timeout(300)
def test_an_outage_from_the_first_warning_to_the_last_mail(browser, mail_server, tmp_path):
    with Site(EMAIL_PORT=str(mail_server.port), JOB_BACKOFF_SECONDS="0.05") as site:
        site.manage("shell", "-c", PREPARE)
        site.start("web", "worker")
        saraa = Operator(browser, site, tmp_path)
        saraa.page.goto("/admin/")
        saraa.type("saraa", "Tab", "a long enough password", "Enter")
        saraa.wait("Nothing is wrong.")
        saraa.looks("1-calm")

        mail_server.behave(at="RCPT", answer="450 4.2.0 Mailbox is locked by another process")
        site.manage("shell", "-c", SIGN_INS)
        saraa.wait(f"{JOBS} dead letters.")
        saraa.wait("attempts failed in the last 5 minutes")
        saraa.looks("2-outage")

        saraa.follow("Dead letters by error")
        saraa.wait(".groups .buttons")
        assert saraa.page.locator("table.groups tbody tr").count() == 1
        saraa.looks("3-groups")
        saraa.type("j", "Enter")
        saraa.wait("#result_list")
        saraa.type("j", "Enter")
        saraa.wait("Why this is a dead letter, and what to do")
        assert "Mailbox is locked" in saraa.page.locator(".advice").inner_text()
        saraa.page.frame_locator("[name=mail]").locator("h1, h2").first.wait_for(timeout=30_000)
        saraa.looks("4-understood")

        mail_server.behave()
        saraa.follow("All dead letters with this error")
        saraa.wait("#result_list")
        saraa.follow("Replay all that match")
        saraa.wait(".confirm")
        saraa.looks("5-preview")
        saraa.follow("Replay them")
        saraa.wait("#live-facts")
        saraa.looks("6-progress")
        saraa.wait(".pill.done")
        assert f"{JOBS} of {JOBS}" in saraa.page.locator("#live-facts").inner_text()
        saraa.looks("7-replayed")

        eventually(lambda: len(mail_server.taken()) == JOBS)
        saraa.follow("Home")
        saraa.wait("Nothing is wrong.")
        saraa.looks("8-calm-again")
        assert len({mail["message_id"] for mail in mail_server.taken()}) == JOBS
