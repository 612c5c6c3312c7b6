"""A circuit: skips a server that has just failed to answer, so that not every caller waits for it."""

import threading
import time

TRIAL_SECONDS = 3.0  # how long the others skip the server while one caller tries it


class Circuit:
    """The memory of one process about one server. Safe for threads.

    seconds: for how long a server that failed is skipped. Then one caller tries it, and the others go on skipping it.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._next_try: float | None = None  # time.monotonic(); None while the server answers

    def allows(self) -> bool:
        """Return whether to call the server. A caller that may then reports `worked` or `failed`."""
        if self._next_try is None:
            return True
        with self._lock:
            now = time.monotonic()
            if self._next_try is not None and now < self._next_try:
                return False
            if self._next_try is not None:
                self._next_try = now + TRIAL_SECONDS
            return True

    def worked(self) -> None:
        """Report that the server answered."""
        if self._next_try is not None:
            with self._lock:
                self._next_try = None

    def failed(self) -> None:
        """Report that the server did not answer in time."""
        with self._lock:
            self._next_try = time.monotonic() + self._seconds
