"""The alert rules about email, events, sign-ins and the disk. Thresholds are those of deploy/prometheus/alerts.yml."""

import shutil
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from accounts.events.endpoint import EventEndpoint
from accounts.mail import smtp
from jobs.alerts.readings import Gauges, Readings
from jobs.alerts.rules import PAGE, TICKET, Rule, present
from jobs.core import pauses

FAILS_MINUTES, FAILURES = 5, 3
REFUSED_SHARE, REFUSED_LEAST = 0.05, 50
SLOW_SECONDS, SLOW_MINUTES, SLOW_LEAST = 0.025, 10, 20
DISK_BYTES = 500_000_000
FAULTS = ("configuration", "temporary", "throttled", "unreachable")


def read_mail() -> Gauges:
    """Return the gauges of mail providers, event endpoints and the disk of VAR_DIR on this machine."""
    smtp.exchange_breakers()  # this process sends alerts: it must know which providers are out of use
    gauges: Gauges = {}
    for provider in pauses.open_providers().values_list("provider", flat=True):
        gauges["notifier_provider_breaker_open", provider] = 1
    gauges["notifier_event_endpoints_off", ""] = EventEndpoint.objects.just_turned_off().count()
    gauges["notifier_disk_free_bytes", ""] = disk_free()
    return gauges


def disk_free() -> int:
    """Return the free bytes of the disk that holds VAR_DIR."""
    folder = next(each for each in (settings.VAR_DIR, *Path(settings.VAR_DIR).parents) if each.exists())
    return shutil.disk_usage(folder).free


def _mail_fails(readings: Readings) -> list[str]:
    grown = readings.increases("mails", timedelta(minutes=FAILS_MINUTES))
    failed = sum(n for key, n in grown.items() if key[0] in FAULTS)
    accepted = sum(n for key, n in grown.items() if key[0] == smtp.ACCEPTED)
    return present(failed > FAILURES and accepted == 0)


def _mail_is_refused(readings: Readings) -> list[str]:
    grown = readings.increases("mails", timedelta(hours=1))
    total = sum(grown.values())
    refused = sum(n for key, n in grown.items() if key[0] == "permanent")
    return present(refused > REFUSED_SHARE * total and total > REFUSED_LEAST)


def _sign_in_is_slow(readings: Readings) -> list[str]:
    grown = readings.increases("sign_in", timedelta(minutes=SLOW_MINUTES))
    total = sum(grown.values())
    quick = sum(n for key, n in grown.items() if float(key[0]) <= SLOW_SECONDS)
    return present(total > SLOW_LEAST and quick < 0.95 * total)


RULES = (
    Rule(
        "NotifierMailServerFails",
        f'sum(increase(notifier_mails_total{{outcome=~"{"|".join(FAULTS)}"}}[{FAILS_MINUTES}m])) > {FAILURES}'
        f' and sum(increase(notifier_mails_total{{outcome="{smtp.ACCEPTED}"}}[{FAILS_MINUTES}m])) == 0',
        0,
        PAGE,
        _("The mail server has taken no email for five minutes, and attempts fail."),
        _("Run manage.py doctor: it says what the mail server answers. Jobs wait and are sent afterwards."),
        _mail_fails,
    ),
    Rule(
        "NotifierProviderOutOfUse",
        "max by (provider) (notifier_provider_breaker_open) == 1",
        600,
        TICKET,
        _("A mail provider has been out of use for ten minutes; emails leave through another."),
        _("Run manage.py doctor; correct what it says; its probe brings it back automatically."),
        lambda readings: readings.labels_above("notifier_provider_breaker_open", 0),
    ),
    Rule(
        "NotifierMailIsRefused",
        f'sum(increase(notifier_mails_total{{outcome="permanent"}}[1h])) > {REFUSED_SHARE}'
        f" * sum(increase(notifier_mails_total[1h])) and sum(increase(notifier_mails_total[1h])) > {REFUSED_LEAST}",
        0,
        TICKET,
        _("More than one email in twenty is refused permanently."),
        _("Look at the error groups in the admin; check SPF, DKIM and DMARC with manage.py doctor."),
        _mail_is_refused,
    ),
    Rule(
        "NotifierSignInIsSlow",
        "histogram_quantile(0.95, sum by (le) (rate(notifier_sign_in_receiver_seconds_bucket"
        f"[{SLOW_MINUTES}m]))) > {SLOW_SECONDS}"
        f" and sum(increase(notifier_sign_in_receiver_seconds_count[{SLOW_MINUTES}m])) > {SLOW_LEAST}",
        600,
        TICKET,
        _("Recording a sign-in takes more than 25 ms for one user in twenty."),
        _("Check the database first: locks and latency."),
        _sign_in_is_slow,
    ),
    Rule(
        "NotifierEventEndpointOff",
        "notifier_event_endpoints_off > 0",
        0,
        TICKET,
        _("An event endpoint of another site was turned off automatically within a day."),
        _("Look at the event endpoints in the admin; the site's developer repairs the receiver and turns it on."),
        lambda readings: readings.labels_above("notifier_event_endpoints_off", 0),
    ),
    Rule(
        "NotifierDiskNearlyFull",
        f"notifier_disk_free_bytes < {DISK_BYTES}",
        300,
        TICKET,
        _("Less than 500 MB are free on the disk of VAR_DIR."),
        _("Free some space; look at the logs and the database on this disk."),
        lambda readings: present(readings.gauges.get(("notifier_disk_free_bytes", ""), DISK_BYTES) < DISK_BYTES),
    ),
)
