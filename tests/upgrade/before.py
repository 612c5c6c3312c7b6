"""The database of version 0.9.0: users and sessions, a key of the API, and jobs of every status."""

import re
from collections import Counter
from collections.abc import Callable

from tests.support.machine import eventually
from tests.support.smtp_server import SmtpServer
from tests.upgrade.versions import Version

USERS = ("bat", "solongo", "gerel")
AGAIN = ("bat", "solongo")
"""Users who sign in once more; a sign-in voids a recovery link, and gerel has one."""

SITE = "shop"
DONE = ("done-1", "done-2")
DEAD = "dead"
DISCARDED = "thrown-away"
LATER, KILLED = "later", "killed"
WAITING = ("waiting-1", "waiting-2", "waiting-3")
LOST_MESSAGE = "lost-message"
MEANWHILE, NEWCOMER = "meanwhile", "tuya"
"""A job and a user of the old version, after the new one has migrated the database."""

OPEN = (LATER, KILLED, *WAITING, LOST_MESSAGE, MEANWHILE)
"""Jobs of another site that the new version must still send, each to an address of its own."""


class Before:
    """The old version while it runs, and what the new one needs to know about it."""

    def __init__(self, old: Version, smtp: SmtpServer) -> None:
        self.old, self.smtp = old, smtp
        self.key = ""
        self.cookies: dict[str, dict[str, str]] = {}
        self.links: dict[str, str] = {}

    def fill(self) -> None:
        """Make everything; no process of the old version runs afterwards."""
        self.old.manage("migrate", "--verbosity", "0")
        scopes = [option for scope in ("enqueue", "read", "admin") for option in ("--scope", scope)]
        self.key = self.old.manage("create_api_key", SITE, *scopes).split()[-1]
        worker = self.old.start_worker()
        self._complete()
        self._refuse()
        self._delay()
        self._hang()
        worker.kill_everything()
        self._leave_waiting()

    def go_on(self) -> None:
        """Create a user, sign in and post a notice on the tables of the new version."""
        *_, status = self.old.inside_all(["create", NEWCOMER], ["sign_in", NEWCOMER], self._notice(MEANWHILE))
        assert status == 202, status

    def statuses(self) -> Counter[str]:
        """Return how many jobs have each status."""
        return Counter(self.old.statuses().values())

    def _complete(self) -> None:
        made = self.old.inside_all(*(verb for name in USERS for verb in (["create", name], ["sign_in", name])))
        self.cookies = dict(zip(USERS, made[1::2], strict=True))
        self.old.inside("ask_for_a_reset", "gerel")
        self._post(*DONE)
        self._wait(lambda found: set(found.values()) == {"completed"} and len(found) == len(USERS) + len(DONE) + 1)
        for mail in self.smtp.mails:
            text = mail.part("plain")
            for kind in ("not-me", "password/reset/key"):
                if link := re.search(rf"https?://\S+/{kind}/\S+", text):
                    self.links[f"{kind} {mail.rcpt[0]}"] = link[0]

    def _refuse(self) -> None:
        self.smtp.behave(at="DATA", answer="554 5.6.0 this cannot be read")
        self._post(DEAD, DISCARDED)  # a third refusal in the same words would be about us
        self._wait(lambda found: found[f"{SITE}:{DEAD}"] == found[f"{SITE}:{DISCARDED}"] == "dlq")
        self.old.manage("jobs", "discard", f"{SITE}:{DISCARDED}")

    def _delay(self) -> None:
        self.smtp.behave(at="RCPT", answer="451 4.3.0 try again later", only=LATER)
        self._post(LATER)
        self._wait(lambda found: found[f"{SITE}:{LATER}"] == "failed")

    def _hang(self) -> None:
        self.smtp.behave(at="RCPT", hang=True, only=KILLED)
        self._post(KILLED)
        self._wait(lambda found: found[f"{SITE}:{KILLED}"] == "processing")

    def _leave_waiting(self) -> None:
        self._post(*WAITING)
        self.old.inside_all(*(["sign_in", name, self._device(name)] for name in AGAIN))
        posted, lost = self.old.inside_all(self._notice(LOST_MESSAGE), ["lose_message"])
        assert (posted, lost) == (202, 1)

    def _device(self, name: str) -> str:
        """Return the cookie of a user's device: 0.9.0 has one row for a user's browser and system."""
        return next(value for cookie, value in self.cookies[name].items() if cookie.startswith("known_device"))

    def _post(self, *jobs: str) -> None:
        statuses = self.old.inside_all(*map(self._notice, jobs))
        assert set(statuses) == {202}, dict(zip(jobs, statuses, strict=True))

    def _notice(self, job: str) -> list[str]:
        return ["post", self.key, job]

    def _wait(self, reached: Callable[[dict[str, str]], bool]) -> None:
        eventually(lambda: reached(self.old.statuses()), 180, pause=0.2)
