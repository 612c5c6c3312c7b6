"""Reports sign-ins to Notifier."""

import http.client
import json
import re
import time
from dataclasses import replace
from urllib.parse import urlsplit

from notifier_client.background import FLUSH_SECONDS, Background
from notifier_client.results import Refused, Result, Unreachable
from notifier_client.retry import Retry, judge, wait_before
from notifier_client.sign_in import SignIn
from notifier_client.transport import post

PATH = "/api/jobs/signin-notification"


class Notifier:
    """A client of one Notifier. Safe to share between threads; a program needs one.

    Raise ValueError for a URL or key that cannot work. No method raises for a fault of the network or the server.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        timeout: float = 5.0,
        budget: float = 30.0,
        background_budget: float = 600.0,
        queue_size: int = 1000,
    ) -> None:
        """Check the arguments; nothing is sent.

        url: where Notifier is, such as https://notifier.example.mn.
        key: an API key with the scope enqueue.
        timeout: the seconds for connecting, and again for the answer, of one attempt.
        budget: the seconds after which `notify` starts no further attempt.
        background_budget: the same for `notify_in_background`.
        queue_size: how many sign-ins may wait in the background; further ones are dropped and logged.
        """
        self._url = check_url(url) + PATH
        self._headers = {
            "Authorization": f"Bearer {check_key(key)}",
            "Content-Type": "application/json",
            "Accept": "application/json",
            "User-Agent": "notifier-client-python/1.0",
        }
        self._timeout, self._budget = timeout, budget
        self._background = Background(self._attempt, background_budget, queue_size)

    def notify(self, sign_in: SignIn) -> Result:
        """Report a sign-in and return the result. Attempts are repeated within the budget."""
        deadline = time.monotonic() + self._budget
        attempts = 1
        while True:
            outcome = self._attempt(sign_in)
            if not isinstance(outcome, Retry):
                return outcome
            pause = wait_before(attempts + 1, outcome.wait)
            if time.monotonic() + pause > deadline:
                return Unreachable(sign_in.job_id, outcome.reason, attempts)
            time.sleep(pause)
            attempts += 1

    def notify_in_background(self, sign_in: SignIn) -> bool:
        """Report a sign-in from a daemon thread and return immediately. False when the queue is full.

        A sign-in that cannot be reported is logged. The end of the program waits for the queue two seconds at most.
        """
        return self._background.submit(sign_in)

    def flush(self, timeout: float = FLUSH_SECONDS) -> bool:
        """Wait until the background's queue is empty. False when the time was too short."""
        return self._background.flush(timeout)

    def _attempt(self, sign_in: SignIn) -> Result | Retry:
        outcome = self._post(sign_in)
        if sign_in.device_id is not None and _knows_no_device_ids(outcome):
            return self._post(replace(sign_in, device_id=None))
        return outcome

    def _post(self, sign_in: SignIn) -> Result | Retry:
        body = json.dumps(sign_in.to_json()).encode()
        try:
            return judge(post(self._url, body, self._headers, self._timeout), sign_in.job_id)
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None)  # urllib wraps the fault of a connection
            return Retry(type(reason if isinstance(reason, Exception) else error).__name__)


def _knows_no_device_ids(outcome: Result | Retry) -> bool:
    """Return whether a Notifier older than the field deviceId refused a sign-in for that field alone."""
    return isinstance(outcome, Refused) and [error.field for error in outcome.problem.errors] == ["deviceId"]


def check_url(url: str) -> str:
    """Return the URL without a slash at its end. Raise ValueError when no request can be sent to it."""
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        valid = valid and not (parts.query or parts.fragment or parts.username) and url.isascii() and url.isprintable()
    except (ValueError, AttributeError, TypeError):
        valid = False
    if not valid or " " in url:
        raise ValueError("the URL of Notifier must be like https://notifier.example.mn")
    return url.rstrip("/")


def check_key(key: str) -> str:
    """Return the API key. Raise ValueError, without the key, when it cannot be sent in a header."""
    if not isinstance(key, str) or not re.fullmatch(r"[\x21-\x7e]+", key):
        raise ValueError("the API key must be text without spaces and line breaks, like nk_...")
    return key
