"""The threads that evaluate the alert rules, in the watchdog of each cluster and in each web process.

One process at a time evaluates: the one that gets a lease in the database. A database that is away or silent is an
alert as well. It has no table to keep its state in, so each process sends it once, and once more when it is over.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import structlog
from django.db import Error, connection
from django.utils import timezone

from jobs.alerts import channels, evaluator
from jobs.alerts.channels import Alert
from jobs.alerts.database_rule import DATABASE_AWAY
from jobs.alerts.states import AlertNotice
from jobs.core import leases

log = structlog.get_logger("jobs.alerts")

EVERY_SECONDS = 20.0
LOOK_SECONDS = 5.0
RETRY_SECONDS = 60.0
ONE_ID = timedelta(minutes=5)  # in which the notices of several processes about one outage have one id


class DatabaseWatch:
    """How long the database has not answered this process. `due` returns what must be sent about that."""

    def __init__(self) -> None:
        self._asking_since: float | None = None
        self._failing_since: float | None = None
        self.alert: Alert | None = None
        """That the database is away, while it is."""

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Note that the database is asked within, and whether it answers."""
        self._asking_since = time.monotonic()
        try:
            yield
        except Error:
            self._failing_since = self._failing_since or self._asking_since
            raise
        else:
            self._failing_since = None
        finally:
            self._asking_since = None

    @contextmanager
    def not_asking(self) -> Iterator[None]:
        """Interrupt `asking`: something else may take its time within."""
        self._failing_since, self._asking_since = None, None
        try:
            yield
        finally:
            self._asking_since = time.monotonic()

    def due(self) -> Alert | None:
        """Return the alert that begins or ends now; None when nothing changes."""
        since = self._failing_since or self._asking_since
        silent = time.monotonic() - since if since is not None else 0.0
        now = timezone.now()
        if self.alert is None and silent >= DATABASE_AWAY.hold_seconds:
            rounded = now - timedelta(seconds=now.timestamp() % ONE_ID.total_seconds())
            self.alert = Alert(DATABASE_AWAY, AlertNotice.FIRING, now - timedelta(seconds=silent), rounded)
            return self.alert
        if self.alert is not None and since is None:
            began, self.alert = self.alert.since, None
            return Alert(DATABASE_AWAY, AlertNotice.CLEARED, began, now)
        return None


class OutageNotices:
    """Sends what is due about the database, and repeats it to channels that failed."""

    def __init__(self, database: DatabaseWatch) -> None:
        self._database = database
        self._notice: Alert | None = None
        self._unsent: list[str] = []
        self._tried = float("-inf")

    def send(self) -> None:
        """Send what is due now, if anything. Called every few seconds."""
        if due := self._database.due():
            log.error("database", notice=str(due.notice))
            self._notice, self._unsent = due, [channel.name for channel in channels.configured()]
            self._tried = float("-inf")
        if self._notice and self._unsent and time.monotonic() - self._tried >= RETRY_SECONDS:
            self._unsent, self._tried = evaluator.send(self._notice, self._unsent), time.monotonic()


class AlertService:
    """The evaluation of the rules in this process.

    every: returns the seconds after which this process may evaluate, counted from the last evaluation of any process.
    """

    def __init__(self, every: Callable[[], float]) -> None:
        self._every = every
        self.database = DatabaseWatch()

    def start(self, stop: threading.Event) -> bool:
        """Start the threads; False when the settings name no receiver of alerts."""
        if not channels.any_configured():
            return False
        for loop, seconds in ((self._evaluate, EVERY_SECONDS), (OutageNotices(self.database).send, LOOK_SECONDS)):
            threading.Thread(target=_repeat, args=(stop, loop, seconds), name="alerts", daemon=True).start()
        return True

    def _evaluate(self) -> None:
        """Evaluate, if this process gets the lease. It has a connection to the database only meanwhile."""
        try:
            with self.database.asking():
                if leases.acquire(evaluator.LEASE, self._every() - 1):
                    evaluator.evaluate()
                    evaluator.send_notices(self.database.not_asking)
                    evaluator.send_heartbeat(self.database.not_asking)
        finally:
            connection.close()


def _repeat(stop: threading.Event, work: Callable[[], None], seconds: float) -> None:
    """Run `work` every few seconds until `stop`; an error is logged and ends nothing."""
    while not stop.wait(seconds):
        try:
            work()
        except Exception as error:
            log.warning("alerts could not be evaluated", error=type(error).__name__)
