"""Five questions of an operator, answered in a browser: how many clicks each takes, and a picture of each answer."""

import json
import os
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Locator, Page

from tests.support.site import Site

FOLDER = os.environ.get("SCREENSHOTS", "")
"""Where the pictures are written; "" for none."""
LARGEST = 80_000  # bytes of a picture in the documentation

PREPARE = """
from datetime import timedelta
from allauth.account.models import EmailAddress
from django.utils import timezone
from accounts.sign_in.event import SignIn
from accounts.sites.site import Site
from accounts.suppression import entries
from accounts.user import User
from jobs.core.job import JobLog
from jobs.core.attempts import JobAttempt
User.objects.create_superuser("saraa", "saraa@example.mn", "a long enough password", notify_sign_ins=False)
bat = User.objects.create_user("bat", "bat@example.mn", "x" * 20, first_name="Bat", last_name="Dorj")
EmailAddress.objects.create(user=bat, email=bat.email, verified=True, primary=True)
SignIn.objects.create(user=bat, method="password", language="en", time_zone="UTC", email=bat.email, notice="limited")
entries.suppress("bat@example.mn", "bounced", reported_by="Postmark", at=timezone.now())
Site.objects.make("shop", who="saraa", name="Mountain Shop", url="https://shop.example")
now = timezone.now()
for number in range(12):
    payload = {"email": f"person{number}@example.com", "name": "Bat", "provider": "github", "locale": "en",
               "ipAddress": "203.0.113.9", "browser": "Chrome", "system": "Windows", "timezone": "UTC",
               "timestamp": now.isoformat(), "newDevice": False, "userId": str(number)}
    dead = JobLog.objects.create(job_id=f"lost-{number}", job_type="signin-notification", user_id=str(number),
        source="shop", status="dlq", payload=payload, dlq_reason="exhausted", error_class="temporary",
        fingerprint="SMTP 451", error="451 4.3.0 Temporary lookup failure", attempt_count=5, max_attempts=5,
        processed_at=now, expires_at=now + timedelta(days=1))
    JobAttempt.objects.create(job=dead, number=5, worker="w", started_at=now, ended_at=now, outcome="failed",
        error_class="temporary", fingerprint="SMTP 451", error="451 4.3.0 Temporary lookup failure")
"""


@dataclass(frozen=True)
class Answer:
    """What an answer cost, from the overview on."""

    question: str
    clicks: int
    seconds: float


class Operator:
    """A signed-in operator, whose clicks are counted."""

    def __init__(self, page: Page, site: Site) -> None:
        self.page, self.site = page, site
        self.clicks = 0

    def sign_in(self) -> None:
        """Sign in; the overview is the first page."""
        self.page.goto("/admin/")
        self.page.locator("#id_username").fill("saraa")
        self.page.locator("#id_password").fill("a long enough password")
        self.page.locator("[type=submit]").click()
        self.page.locator("#tiles").wait_for()

    def click(self, there: Locator) -> None:
        """Click, and count it."""
        self.clicks += 1
        there.click()

    def answer(self, question: str, find: Callable[["Operator"], None], picture: str) -> Answer:
        """Go to the overview, find the answer, and take a picture of it."""
        self.page.goto("/admin/", wait_until="load")
        self.clicks, began = 0, time.monotonic()
        find(self)
        seconds = time.monotonic() - began
        if FOLDER:
            file = Path(FOLDER) / f"{picture}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=file)
            assert file.stat().st_size < LARGEST, file
        return Answer(question, self.clicks, seconds)


def why_no_email(operator: Operator) -> None:
    """Why did the user Bat Dorj get no email? By name, from any page."""
    operator.page.locator("#find").fill("bat dorj")
    operator.click(operator.page.locator("#header .search button"))
    operator.page.get_by_text("gets no email until").wait_for()


def replay_an_error(operator: Operator) -> None:
    """Replay all dead letters of one error."""
    operator.click(operator.page.locator("#shell").get_by_role("link", name="Dead letters").first)
    group = operator.page.locator("table.groups tr", has_text="SMTP 451")
    operator.click(group.get_by_role("link", name="Replay"))
    operator.click(operator.page.get_by_role("button", name="Replay them"))
    operator.page.get_by_text("The bulk replay has started").wait_for()


def key_and_first_call(operator: Operator) -> None:
    """Create an API key for a site, and post a first sign-in with it."""
    operator.click(operator.page.locator("#shell").get_by_role("link", name="Sites"))
    operator.click(operator.page.get_by_role("link", name="shop", exact=True))
    operator.click(operator.page.get_by_role("link", name="Create a key"))
    operator.click(operator.page.locator("[name=_save]"))
    key = operator.page.locator("#api-key").inner_text()
    assert post_sign_in(operator.site, key) == 202


def post_sign_in(site: Site, key: str) -> int:
    """Return the status of a first call with this key, as the page of developers describes it."""
    body = {"userId": "42", "email": "bat@example.mn", "name": "Bat", "provider": "github", "ipAddress": "203.0.113.7"}
    body |= {"userAgent": "Mozilla/5.0", "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    call = urllib.request.Request(f"{site.url}/api/jobs/signin-notification", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(call, timeout=10) as answer:
        return int(answer.status)


def are_workers_alive(operator: Operator) -> None:
    """Read on the first page whether a worker is alive."""
    tile = operator.page.locator("#tiles > div", has_text="Clusters alive")
    assert tile.locator("strong").inner_text() == "1"
    assert operator.page.locator("#shell .health").inner_text() != "No worker"


def stop_all_email(operator: Operator) -> None:
    """Stop all email for an hour."""
    operator.click(operator.page.locator("#shell").get_by_role("link", name="Sending"))
    operator.click(operator.page.get_by_role("button", name="Pause for an hour").first)
    operator.page.get_by_text("Paused: All email.").wait_for()


QUESTIONS: dict[str, tuple[Callable[[Operator], None], str, int]] = {
    "Are the workers alive?": (are_workers_alive, "overview", 0),
    "Why did a given user get no email?": (why_no_email, "person", 2),
    "Replay all dead letters of one error": (replay_an_error, "replay", 3),
    "A new API key and its first call": (key_and_first_call, "key", 4),
    "Stop all email for an hour": (stop_all_email, "stop", 2),
}
"""Question: how it is answered, the name of the picture, and the clicks that it may take."""
