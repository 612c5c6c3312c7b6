"""A client that reports sign-ins to Notifier. It needs only Python 3.11's standard library: copy it into your project.

    notifier = Notifier("https://notifier.example.mn", os.environ["NOTIFIER_API_KEY"])
    notifier.signed_in(userId="42", email="bat@example.mn", name="Бат", provider="password",
                       ipAddress=request.META["REMOTE_ADDR"], userAgent=request.headers.get("User-Agent", ""))

`signed_in` returns immediately and never raises. It retries with one jobId, so the user gets one email.
"""

import http.client
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
from email.utils import parsedate_to_datetime

log = logging.getLogger("notifier")
LONGEST_ANSWER = 10_000


class Refused(Exception):
    """Notifier refused the notice, and a retry would not help."""


class Busy(OSError):
    """Notifier asked for a later retry. seconds: how long to wait; 0 when it does not say."""

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Treats a redirect as a refusal: the key goes to no other address."""

    def redirect_request(self, *_: object) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirect)


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
        """Deliver the notice in a new thread. Return the thread, so that the caller can wait for it."""
        thread = threading.Thread(target=self._quietly, args=(self.describe(**fields),))
        thread.start()
        return thread

    def describe(self, **fields: str) -> dict[str, str]:
        """Return the fields of the API, with a timestamp and a jobId if there was none."""
        now = datetime.now(UTC).isoformat()
        return {"timestamp": now, "jobId": f"signin-{uuid.uuid4()}", **fields}

    def deliver(self, notice: dict[str, str]) -> None:
        """Deliver `describe`'s result. Raise Refused, or OSError when Notifier stays unreachable."""
        for attempt in range(1, self.tries + 1):
            try:
                self._post(notice)
                return
            except OSError as error:
                asked = getattr(error, "seconds", 0.0)
                if attempt == self.tries:
                    raise
            pause = self.backoff * 2 ** (attempt - 1) * (1 + random.random() / 10)
            self.sleep(min(60.0, max(pause, asked)))

    def _post(self, notice: dict[str, str]) -> None:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.key}"}
        request = urllib.request.Request(self.address, json.dumps(notice).encode(), headers, method="POST")
        try:
            with _opener.open(request, timeout=self.timeout) as answer:
                status = answer.status
        except urllib.error.HTTPError as answer:
            _judge(answer)
        except http.client.HTTPException as broken:
            raise OSError(f"the answer was cut off: {type(broken).__name__}") from broken
        else:
            if status != 202:
                raise Refused(f"{status} is not an answer of Notifier")

    def _quietly(self, notice: dict[str, str]) -> None:
        try:
            self.deliver(notice)
        except Exception as error:
            log.error("Notifier did not take the notice %s: %s", notice["jobId"], error)


def _judge(answer: urllib.error.HTTPError) -> None:
    """Return when Notifier has the notice already; raise Busy when a retry may help, otherwise Refused."""
    problem = _problem(answer)
    kind = str(problem.get("type", ""))
    if answer.code == 409 and kind.endswith(":duplicate-job"):
        return  # an earlier try had arrived
    if answer.code >= 500 or (answer.code == 429 and not kind.endswith(":too-many-notices")):
        raise Busy(f"{answer.code} {kind}", _seconds(answer.headers.get("Retry-After") or "")) from None
    raise Refused(f"{answer.code} {kind} {problem.get('errors', '')}") from None


def _problem(answer: urllib.error.HTTPError) -> dict[str, object]:
    """Return the problem in an answer; {} for one that is not Notifier's (a proxy's page, an answer cut off)."""
    try:
        problem = json.loads(answer.read(LONGEST_ANSWER))
    except (OSError, http.client.HTTPException, ValueError):
        return {}
    return problem if isinstance(problem, dict) else {}


def _seconds(retry_after: str) -> float:
    """Return the seconds of a Retry-After, which may be a number or a date; 0 for anything else."""
    if retry_after.isdecimal():
        return float(retry_after)
    try:
        return max(0.0, (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return 0.0
