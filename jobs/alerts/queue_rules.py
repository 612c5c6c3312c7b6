"""The alert rules of the queue. Thresholds are those of deploy/prometheus/alerts.yml."""

from datetime import timedelta

from django.utils.translation import gettext_lazy as _

from jobs.alerts.readings import Gauges, Readings
from jobs.alerts.rules import PAGE, TICKET, Rule, present
from jobs.core import pauses
from jobs.core.job import JobLog
from jobs.stats.gauges import NEXT_TICK

MINUTE, HOUR = 60, 3600
STALLED_SECONDS = 60
DEAD_LETTERS, DEAD_MINUTES = 5, 15
DEATHS, DEATH_MINUTES = 3, 15
RESTARTS, RESTART_MINUTES = 3, 30
OVERDUE_SECONDS = 300


def read_queue() -> Gauges:
    """Return the gauges of the queue."""
    gauges: Gauges = {}
    for lane, seconds in JobLog.objects.runnable().oldest_waits().items():
        gauges["notifier_oldest_due_seconds", lane] = seconds
    for state in pauses.JobTypeState.objects.filter(breaker_opened_at__isnull=False):
        gauges["notifier_breaker_open", state.job_type] = 1
    for name in pauses.paused_types().values_list("job_type", flat=True):
        gauges["notifier_paused", name] = 1
    for lane in pauses.paused_lanes().values_list("lane", flat=True):
        gauges["notifier_lane_paused", lane] = 1
    return gauges


def _dead_letters(readings: Readings) -> list[str]:
    grown = readings.increases("dead", timedelta(minutes=DEAD_MINUTES))
    counted = {key: n for key, n in grown.items() if key[0] != "event" and key[1:] != ("suppressed",)}
    return sorted(": ".join(key) for key, n in counted.items() if n > DEAD_LETTERS)


def _deaths(readings: Readings) -> list[str]:
    grown = readings.increases("attempts", timedelta(minutes=DEATH_MINUTES))
    return present(sum(n for key, n in grown.items() if key[1:2] == ("lost",)) > DEATHS)


def _overdue(readings: Readings) -> list[str]:
    now = readings.now.timestamp()
    return sorted(name for name, next_tick in readings.gauge(NEXT_TICK).items() if now - next_tick > OVERDUE_SECONDS)


def _restarts(readings: Readings) -> list[str]:
    grown = readings.increases("restarts", timedelta(minutes=RESTART_MINUTES))
    return sorted(key[0] for key, n in grown.items() if n > RESTARTS)


RULES = (
    Rule(
        "NotifierNoWorker",
        "notifier_clusters == 0",
        30,
        PAGE,
        _("No worker has sent a heartbeat for 30 seconds. Notices wait; none is lost."),
        _("Start manage.py qcluster; run manage.py doctor."),
        lambda readings: present(readings.gauges.get(("notifier_clusters", "")) == 0),
    ),
    Rule(
        "NotifierQueueStalled",
        f"max(notifier_oldest_due_seconds) > {STALLED_SECONDS}",
        30,
        PAGE,
        _("A due job has been waiting for more than a minute."),
        _("Run manage.py doctor; add workers when they are all busy."),
        lambda readings: readings.labels_above("notifier_oldest_due_seconds", STALLED_SECONDS),
    ),
    Rule(
        "NotifierBreakerOpen",
        "max by (job_type) (notifier_breaker_open) == 1",
        MINUTE,
        PAGE,
        _("The mail server refuses our settings; jobs wait for it."),
        _("Run manage.py doctor; correct EMAIL_*; the breaker closes automatically."),
        lambda readings: readings.labels_above("notifier_breaker_open", 0),
    ),
    Rule(
        "NotifierDeadLetters",
        "sum by (job_type, reason) (increase(notifier_dead_letters_total"
        f'{{reason!="suppressed",job_type!="event"}}[{DEAD_MINUTES}m])) > {DEAD_LETTERS}',
        0,
        TICKET,
        _("More than five jobs of one type died in 15 minutes for one reason."),
        _("Look at them in the admin; replay them when the cause is fixed."),
        _dead_letters,
    ),
    Rule(
        "NotifierWorkersDie",
        f'sum(increase(notifier_attempts_total{{outcome="lost"}}[{DEATH_MINUTES}m])) > {DEATHS}',
        0,
        TICKET,
        _("Workers died while they ran jobs."),
        _("Check the kernel's log for out-of-memory kills; look at the dead letters with reason poison."),
        _deaths,
    ),
    Rule(
        "NotifierClusterRestarts",
        f"increase(notifier_cluster_restarts[{RESTART_MINUTES}m]) > {RESTARTS}",
        0,
        TICKET,
        _("A cluster was replaced more than three times in half an hour."),
        _('Read its log lines "cluster is stuck" and "cluster ended unexpectedly".'),
        _restarts,
    ),
    Rule(
        "NotifierScheduleOverdue",
        f"max by (schedule) (time() - {NEXT_TICK}) > {OVERDUE_SECONDS}",
        0,
        TICKET,
        _("A schedule has been due for five minutes, and no cluster has started its job."),
        _("Look at the schedules in the admin: the row says why. Start manage.py qcluster if none runs."),
        _overdue,
    ),
    Rule(
        "NotifierLaneIsPaused",
        "max by (lane) (notifier_lane_paused) == 1",
        6 * HOUR,
        TICKET,
        _("A lane has been paused for six hours; its jobs expire."),
        _("Resume it if it was forgotten: manage.py jobs resume lane:NAME."),
        lambda readings: readings.labels_above("notifier_lane_paused", 0),
    ),
    Rule(
        "NotifierTypeIsPaused",
        "max by (job_type) (notifier_paused) == 1",
        6 * HOUR,
        TICKET,
        _("A job type has been paused for six hours; its jobs expire."),
        _("Resume it if it was forgotten: manage.py jobs resume TYPE."),
        lambda readings: readings.labels_above("notifier_paused", 0),
    ),
)
