"""`manage.py doctor`: what is wrong and what to do. Exit code 0: nothing; 1: only warnings; 2: a fault."""

import json
import time
import uuid
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import Error
from django.utils import timezone

from accounts.mail.addresses import deliverable
from accounts.notices.sign_in import SignInNotice, enqueue_for_site
from jobs.core.errors import Permanent
from jobs.core.job import JobLog, Status
from notifier.ops import doctor
from notifier.ops.checks.findings import Finding, Verdict

WAIT_SECONDS = 60
ENDED = (Status.COMPLETED, Status.DLQ, Status.DISCARDED)


class Command(BaseCommand):
    help = "Checks settings, machine, database, cache, worker, queue, mail server and DNS, and prints what to do."
    requires_system_checks: list[str] = []  # doctor runs them and reports them with the rest

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="machine-readable output")
        parser.add_argument(
            "--send", metavar="ADDRESS", help="send a notice about an invented sign-in to this address, and wait for it"
        )

    def handle(self, **options: Any) -> None:
        findings = doctor.examine()
        if options["send"]:
            findings.append(send_notice(options["send"]))
        if options["json"]:
            self.stdout.write(json.dumps([finding.as_dict() for finding in findings]))
        else:
            self.stdout.write("\n".join(map(format_finding, findings)))
        verdicts = {finding.verdict for finding in findings}
        if code := 2 if Verdict.FAULT in verdicts else 1 if Verdict.WARNING in verdicts else 0:
            raise SystemExit(code)


def format_finding(finding: Finding) -> str:
    """Format one finding as a line: verdict, check, what is wrong, and what to do."""
    action = f" -> {finding.action}" if finding.action else ""
    return f"{finding.verdict:<9}{finding.check:<14} {finding.message}{action}"


def send_notice(address: str) -> Finding:
    """Send a notice through queue, worker and mail server. Raises CommandError when the address is invalid."""
    try:
        deliverable(address)
    except Permanent as wrong:
        raise CommandError(f"--send needs a valid email address: {wrong}") from None
    invented = SignInNotice(
        user_id=f"doctor-{uuid.uuid4()}",
        email=address,
        name="Doctor",
        provider="doctor",
        ip_address="",
        browser="",
        system="",
        timestamp=timezone.now().isoformat(),
        locale=settings.LANGUAGE_CODE,
        timezone=settings.TIME_ZONE,
    )
    try:
        job = enqueue_for_site(invented, job_id=f"doctor:{uuid.uuid4()}", source="doctor", per_hour=None)
        return _wait(job)
    except Error as away:
        return Finding("send", Verdict.FAULT, f"the notice could not be enqueued ({type(away).__name__})", "see above")


def _wait(job: JobLog) -> Finding:
    until = time.monotonic() + WAIT_SECONDS
    while job.status not in ENDED and time.monotonic() < until:
        time.sleep(0.2)
        job.refresh_from_db()
    if job.status == Status.COMPLETED:
        return Finding("send", Verdict.OK, f"the mail server accepted the email of {job.job_id}; check the mailbox")
    message = f"the status of {job.job_id} is {job.status} after at most {WAIT_SECONDS} s"
    return Finding("send", Verdict.FAULT, message, f"run: manage.py jobs show {job.job_id}")
