"""P14 on real processes: a stopped worker, and a dead mail server as well; email, webhook and heartbeat.

The rules hold for 30 s before they fire, so this takes minutes. The times are printed, not asserted.
"""

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.header import decode_header, make_header

import pytest

from tests.support import api_client
from tests.support.faults import stopped
from tests.support.machine import eventually
from tests.support.postgres import Postgres
from tests.support.receiver import Receiver, signed_by
from tests.support.site import Site
from tests.support.smtp_server import SmtpServer

MAIL_FAILS = "NotifierMailServerFails"
pytestmark = [pytest.mark.slow, pytest.mark.world, pytest.mark.timeout(900)]


@contextmanager
def reporting(**settings: str) -> Iterator[tuple[SmtpServer, Receiver, Receiver, Site]]:
    """A mail server that is not started, the receivers of webhook and heartbeat, and a site that uses them."""
    smtp = SmtpServer()
    with Receiver() as webhook, Receiver() as monitor:
        urls = {"ALERT_WEBHOOK": webhook.url, "HEARTBEAT_URL": monitor.url}
        with Site(EMAIL_PORT=str(smtp.port), **urls, **settings) as site:
            yield smtp, webhook, monitor, site
    smtp.stop()


def alerts(receiver: Receiver, name: str, state: str) -> list[dict]:
    found = [one.body["data"] for one in receiver.accepted if one.raw]
    return [data for data in found if (data["alert"], data["state"]) == (name, state)]


def subjects(smtp: SmtpServer) -> list[str]:
    return [str(make_header(decode_header(mail.message["Subject"]))) for mail in smtp.mails]


def wait_for(what: Callable[[], object], label: str) -> None:
    began = time.monotonic()
    eventually(what, seconds=240, pause=1)
    print(f"{label}: {time.monotonic() - began:.0f} s", flush=True)  # noqa: T201  (the times of P14)


def silence(monitor: Receiver) -> None:
    """Wait for longer than the time between two heartbeats; assert that there was none: silence is the alarm."""
    before = len(monitor.accepted)
    time.sleep(70)
    assert len(monitor.accepted) == before


def post_notices(site: Site, count: int) -> None:
    """Post sign-ins of so many users, which a worker tries to email."""
    printed = site.manage("create_api_key", "shop", "--for", "send").split()
    key = next(word for word in printed if word.startswith("nk_"))
    for number in range(count):
        body = api_client.notification(userId=str(number), email=f"u{number}@example.mn", jobId=f"{key[3:15]}-{number}")
        asked = urllib.request.Request(
            site.url + api_client.PATH,
            json.dumps(body).encode(),
            {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(asked, timeout=30) as answer:
            assert answer.status == 202


def test_a_stopped_worker_is_reported_by_email_and_webhook_and_so_is_its_return():
    with reporting(ALERT_TO="ops@example.mn,second@example.mn", LANGUAGE_CODE="en") as (smtp, webhook, monitor, site):
        smtp.start()
        site.start("web", "worker")
        wait_for(lambda: len(monitor.accepted) >= 2, "two heartbeats of a fresh install")
        assert webhook.accepted == []
        assert subjects(smtp) == []
        site.stop("worker")
        wait_for(lambda: alerts(webhook, "NotifierNoWorker", "firing"), "webhook after the worker stopped")
        wait_for(lambda: len(subjects(smtp)) == 2, "emails after that")
        assert all("NotifierNoWorker" in subject for subject in subjects(smtp))
        silence(monitor)
        before = len(monitor.accepted)
        assert len(webhook.accepted) == 1
        secret = site.manage("alerts", "secret").split()[-1]
        assert signed_by(secret, webhook.accepted[0])
        site.start("worker")
        wait_for(lambda: alerts(webhook, "NotifierNoWorker", "cleared"), "webhook after the worker returned")
        wait_for(lambda: len(subjects(smtp)) == 4, "emails after that")
        wait_for(lambda: len(monitor.accepted) > before, "heartbeat after that")
        assert len(webhook.accepted) == 2
        log = site.log("web") + site.log("worker")
        assert "ops@example.mn" not in log
        assert "token=abc" not in log


def test_with_the_mail_server_dead_as_well_webhook_and_heartbeat_report_it_and_the_email_follows():
    with reporting(ALERT_TO="ops@example.mn") as (smtp, webhook, monitor, site):
        site.start("web", "worker")
        wait_for(lambda: monitor.accepted, "the first heartbeat")
        site.kill("worker")
        wait_for(lambda: alerts(webhook, "NotifierNoWorker", "firing"), "webhook after the worker was killed")
        silence(monitor)
        smtp.start()
        wait_for(lambda: subjects(smtp), "email after the mail server returned")
        assert len(alerts(webhook, "NotifierNoWorker", "firing")) == 1
        before = len(monitor.accepted)
        site.start("worker")
        wait_for(lambda: alerts(webhook, "NotifierNoWorker", "cleared"), "webhook after the worker returned")
        wait_for(lambda: len(monitor.accepted) > before, "heartbeat after that")


def test_a_dead_mail_server_is_reported_by_webhook_and_heartbeat_while_the_worker_lives():
    with reporting(ALERT_TO="ops@example.mn") as (smtp, webhook, monitor, site):
        site.start("web", "worker")
        wait_for(lambda: monitor.accepted, "the first heartbeat")
        post_notices(site, 5)
        wait_for(lambda: alerts(webhook, MAIL_FAILS, "firing"), "webhook after the mail server died")
        assert alerts(webhook, "NotifierNoWorker", "firing") == []
        silence(monitor)
        before = len(monitor.accepted)
        smtp.start()
        post_notices(site, 1)
        wait_for(lambda: alerts(webhook, MAIL_FAILS, "cleared"), "webhook after the mail server returned")
        wait_for(lambda: len(monitor.accepted) > before, "heartbeat after that")
        assert len(alerts(webhook, MAIL_FAILS, "firing")) == 1


def test_a_database_that_is_silent_is_reported_once_by_each_process():
    with (
        Postgres() as server,
        Receiver() as webhook,
        Site(DATABASE_URL=server.url("notifier"), ALERT_WEBHOOK=webhook.url, WEB_WORKERS="1") as site,
    ):
        server.execute("CREATE DATABASE notifier")
        site.manage("migrate", "--verbosity", "0")
        site.start("web")
        time.sleep(25)
        with stopped(server.process):
            wait_for(lambda: alerts(webhook, "NotifierDown", "firing"), "webhook after the database fell silent")
        wait_for(lambda: alerts(webhook, "NotifierDown", "cleared"), "webhook after the database answered again")
        assert len(alerts(webhook, "NotifierDown", "firing")) == 1
