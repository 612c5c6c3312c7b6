"""The checks of the upgraded site: each waiting job is sent once, and what users and other sites hold still works."""

import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable

from tests.support import dispute_page
from tests.support.machine import eventually
from tests.support.smtp_server import SmtpServer
from tests.upgrade.before import DEAD, DISCARDED, DONE, LATER, NEWCOMER, OPEN, SITE, USERS, Before
from tests.upgrade.versions import Version

FINAL = {"completed", "dlq", "discarded"}
PATIENCE = 180.0
"""Seconds that a busy machine may take for what takes one."""

CALM = 5.0
"""Seconds in which a second email of a job would have come."""


class After:
    """The new version on the old database."""

    def __init__(self, new: Version, before: Before, smtp: SmtpServer) -> None:
        self.new, self.before, self.smtp = new, before, smtp
        self.url = new.environment["SITE_URL"]
        self.wrong: list[str] = []

    def check(self, say: Callable[[str], None]) -> list[str]:
        """Return what is wrong."""
        eventually(lambda: self._get("/healthz")[0] == 200, PATIENCE)
        self._expect("the status of the job that failed", self.new.statuses()[f"{SITE}:{LATER}"], "failed")
        self.new.manage("jobs", "reschedule", f"{SITE}:{LATER}", "--at", "now", "--why", "upgraded")
        eventually(lambda: set(self.new.statuses().values()) <= FINAL, 2 * PATIENCE, pause=1)
        time.sleep(CALM)
        say(f"jobs afterwards: {Counter(self.new.statuses().values())}")
        self._check_emails()
        self._check_dead_letters()
        self._check_key()
        self._check_sessions()
        self._check_links()
        return self.wrong

    def _expect(self, what: str, found: object, wanted: object) -> None:
        if found != wanted:
            self.wrong.append(f"{what}: {found!r}, not {wanted!r}")

    def _check_emails(self) -> None:
        """Each job was sent once, with a Message-ID of its own; a user gets one for each sign-in."""
        sent = Counter(mail.rcpt[0].partition("@")[0] for mail in self.smtp.mails)
        for job in (*DONE, *OPEN):
            self._expect(f"emails of {job}", sent[job], 1)
        for job in (DEAD, DISCARDED):
            self._expect(f"emails of {job}", sent[job], 0)
        twice = [one for one, times in Counter(mail.message_id for mail in self.smtp.mails).items() if times > 1]
        self._expect("Message-IDs that were sent twice", twice, [])
        for name, times in {**dict.fromkeys(USERS, 2), NEWCOMER: 1}.items():
            self._expect(f"emails to {name}", sent[name], times)

    def _check_dead_letters(self) -> None:
        """A dead letter of before can be replayed, and is then sent once; what was discarded stays so."""
        self.new.manage("jobs", "replay", f"{SITE}:{DEAD}", "--why", "upgraded")
        eventually(lambda: self.new.statuses()[f"{SITE}:{DEAD}"] == "completed", PATIENCE, pause=1)
        sent = [mail for mail in self.smtp.mails if mail.rcpt == [f"{DEAD}@example.mn"]]
        self._expect("emails of the replayed job", len(sent), 1)
        self._expect("the discarded job", self.new.statuses()[f"{SITE}:{DISCARDED}"], "discarded")

    def _check_key(self) -> None:
        """The key of the API reads the jobs of before, knows their ids, and enqueues a new one."""
        headers = {"Authorization": f"Bearer {self.before.key}"}
        status, body = self._get(f"/api/jobs/{DONE[0]}", headers)
        self._expect("a job of before, over the API", (status, json.loads(body).get("status")), (200, "completed"))
        self._expect("a job id of before, posted again", self.new.inside("post", self.before.key, OPEN[0]), 409)
        self._expect("a new job", self.new.inside("post", self.before.key, "new"), 202)
        eventually(lambda: any(mail.rcpt == ["new@example.mn"] for mail in self.smtp.mails), PATIENCE)

    def _check_sessions(self) -> None:
        """A session of before is still signed in, and the password of before signs in."""
        cookies = "; ".join(f"{name}={value}" for name, value in self.before.cookies["solongo"].items())
        status, page = self._get("/accounts/activity/", {"Cookie": cookies})
        self._expect("the activity page with a session of before", (status, "solongo" in page), (200, True))
        self._expect("a sign-in with the password of before", bool(self.new.inside("sign_in", "solongo")), True)
        eventually(lambda: sum(mail.rcpt == ["solongo@example.mn"] for mail in self.smtp.mails) == 3, PATIENCE)

    def _check_links(self) -> None:
        """The links of old emails work: one sets a password, and "This wasn't me" ends every session."""
        not_me = self.before.links["not-me bat@example.mn"]
        status, page = self._get(self.before.links["password/reset/key gerel@example.mn"])
        self._expect("the page of an old recovery link", (status, 'name="password1"' in page), (200, True))
        page = dispute_page.post_form(not_me)
        self._expect("the page after the button of an old email", bool(re.search("account is protected", page)), True)
        cookies = "; ".join(f"{name}={value}" for name, value in self.before.cookies["bat"].items())
        _, page = self._get("/accounts/activity/", {"Cookie": cookies})
        self._expect("the session that the button ended", 'name="password"' in page, True)

    def _get(self, path: str, headers: dict[str, str] | None = None) -> tuple[int, str]:
        """Return the status and the text of a page, after redirects; 0 while no server answers."""
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        request = urllib.request.Request(urllib.parse.urljoin(self.url, path), headers=headers or {})
        try:
            with opener.open(request, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.read().decode()
        except OSError:
            return 0, ""
