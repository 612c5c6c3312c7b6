"""`manage.py doctor`: what is wrong and what to do. Exit code 0: nothing; 1: warnings alone; 2: a fault."""

import json
import time
import uuid
from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.core.validators import validate_email
from django.db import Error
from django.utils import timezone

from accounts import site_notices
from jobs.models import JobLog, Status
from notifier import doctor
from notifier.doctor import Finding, Verdict

WAIT_SECONDS = 60
OVER = (Status.COMPLETED, Status.DLQ, Status.DISCARDED)


class Command(BaseCommand):
    help = "Looks at settings, database, cache, clock, worker, queue, mail server and DNS, and says what to do."
    requires_system_checks: list[str] = []  # it runs them itself, and goes on

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="machine-readable output")
        parser.add_argument(
            "--send", metavar="ADDRESS", help="has a notice of an invented sign-in sent there, and waits"
        )

    def handle(self, **options: Any) -> None:
        found = doctor.examine()
        if options["send"]:
            found.append(send(options["send"]))
        if options["json"]:
            self.stdout.write(json.dumps([finding.as_dict() for finding in found]))
        else:
            self.stdout.write("\n".join(map(line, found)))
        verdicts = {finding.verdict for finding in found}
        if code := 2 if Verdict.FAULT in verdicts else 1 if Verdict.WARNING in verdicts else 0:
            raise SystemExit(code)


def line(finding: Finding) -> str:
    """One finding for people: the verdict first, and below it what to do."""
    do = f"\n{'':>24}-> {finding.do}" if finding.do else ""
    return f"{finding.verdict:<9}{finding.check:<14} {finding.told}{do}"


def send(address: str) -> Finding:
    """A notice through the whole site: queue, worker, mail server. Raises CommandError for what is no address."""
    try:
        validate_email(address)
    except ValidationError:
        raise CommandError("--send wants a mail address") from None
    invented = site_notices.SiteSignIn(
        user_id=f"doctor-{uuid.uuid4()}",
        email=address,
        name="Doctor",
        provider="doctor",
        ip_address="",
        user_agent="",
        timestamp=timezone.now().isoformat(),
        locale=None,
        timezone=None,
    )
    try:
        job = site_notices.enqueue(invented, source="doctor")
        return _wait(job)
    except Error as away:
        return Finding("send", Verdict.FAULT, f"nothing could be enqueued ({type(away).__name__})", "see above")


def _wait(job: JobLog) -> Finding:
    until = time.monotonic() + WAIT_SECONDS
    while job.status not in OVER and time.monotonic() < until:
        time.sleep(0.2)
        job.refresh_from_db()
    if job.status == Status.COMPLETED:
        return Finding("send", Verdict.OK, f"the mail server took the mail of {job.job_id}; is it in the mailbox?")
    told = f"{job.job_id} is {job.status} after {WAIT_SECONDS} s at most"
    return Finding("send", Verdict.FAULT, told, f"manage.py jobs show {job.job_id}")
