"""Tells Notifier that somebody signed in. Python 3.11's standard library alone: copy it into your project.

    notifier = Notifier("https://notifier.example.mn", os.environ["NOTIFIER_API_KEY"])
    notifier.signed_in(userId="42", email="bat@example.mn", name="Бат", provider="password",
                       ipAddress=request.META["REMOTE_ADDR"], userAgent=request.headers.get("User-Agent", ""))

`signed_in` returns at once and never raises. It retries with one jobId, so the person gets one mail.
"""

import json
import logging
import random
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

log = logging.getLogger("notifier")


class Refused(Exception):
    """Notifier did not take the notice, and trying again would not help."""


class Notifier:
    """url: where Notifier is. key: an API key with the scope enqueue. tries, backoff, timeout: of one notice, in s."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        tries: int = 6,
        backoff: float = 1.0,
        timeout: float = 5.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.address = url.rstrip("/") + "/api/jobs/signin-notification"
        self.key, self.tries, self.backoff, self.timeout, self.sleep = key, tries, backoff, timeout, sleep

    def signed_in(self, **fields: str) -> threading.Thread:
        """Hands the notice over in a thread of its own, which is returned for those who want to wait."""
        thread = threading.Thread(target=self._quietly, args=(self.describe(**fields),))
        thread.start()
        return thread

    def describe(self, **fields: str) -> dict[str, str]:
        """The fields of the API, with a timestamp and a jobId if there was none."""
        now = datetime.now(UTC).isoformat()
        return {"timestamp": now, "jobId": f"signin-{uuid.uuid4()}", **fields}

    def deliver(self, notice: dict[str, str]) -> None:
        """Hands `describe`'s result over and waits for it. Raises Refused, or OSError when Notifier stays away."""
        for attempt in range(1, self.tries + 1):
            try:
                self._post(notice)
                return
            except OSError as error:
                asked = _asked_to_wait(error)
                if attempt == self.tries:
                    raise
            pause = self.backoff * 2 ** (attempt - 1) * (1 + random.random() / 10)
            self.sleep(min(60.0, max(pause, asked)))

    def _post(self, notice: dict[str, str]) -> None:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.key}"}
        request = urllib.request.Request(self.address, json.dumps(notice).encode(), headers, method="POST")
        try:
            urllib.request.urlopen(request, timeout=self.timeout).close()
        except urllib.error.HTTPError as answer:
            if answer.code != 409:  # it has the notice: an earlier try had arrived
                raise

    def _quietly(self, notice: dict[str, str]) -> None:
        try:
            self.deliver(notice)
        except Exception as error:
            log.error("Notifier did not take the notice %s: %s", notice["jobId"], error)


def _asked_to_wait(error: OSError) -> float:
    """Seconds that Notifier asks to wait before another try. Raises Refused when it will never take this notice."""
    if not isinstance(error, urllib.error.HTTPError):
        return 0.0
    if error.code < 500:
        problem = json.loads(error.read() or b"{}")
        if not problem.get("type", "").endswith(":too-many-requests"):
            raise Refused(f"{error.code} {problem.get('type')} {problem.get('errors', '')}") from None
    return float(error.headers.get("Retry-After") or 0)
