"""`manage.py jobs`: the operator's view and hands on the command line."""

import getpass
import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Count
from django.utils import timezone

from jobs import audit, bulk, clusters, pauses, queue, registry
from jobs.models import JobLog, Reason, Status


class Command(BaseCommand):
    help = "Lists, shows, replays and discards jobs; counts them; pauses and resumes a job type."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)

        def verb(name: str, text: str) -> ArgumentParser:
            made = verbs.add_parser(name, help=text)
            made.add_argument("--json", action="store_true", help="machine-readable output")
            return made

        listing = verb("list", "the newest jobs")
        listing.add_argument("--status", choices=Status.values)
        listing.add_argument("--reason", choices=Reason.values)
        listing.add_argument("--type", dest="job_type")
        listing.add_argument("--user", dest="user_id")
        listing.add_argument("--limit", type=int, default=20)
        verb("show", "one job with its attempts").add_argument("job_id")
        for name, text in (
            ("replay", "tries dead letters again"),
            ("discard", "gives dead letters or waiting jobs up"),
        ):
            acting = verb(name, text)
            acting.add_argument("job_id", nargs="*")
            acting.add_argument("--reason", choices=Reason.values, help="all dead letters with this reason")
            acting.add_argument("--error-class", help="all dead letters with this class of error")
            acting.add_argument("--fingerprint", help="all dead letters with this error")
            acting.add_argument("--type", dest="job_type", help="all dead letters of this type")
            acting.add_argument("--dry-run", action="store_true", help="only says how many")
            acting.add_argument("--why", default="")
        verb("stats", "how many in each status, the oldest due job, the clusters")
        pausing = verb("pause", "holds a job type")
        pausing.add_argument("job_type")
        pausing.add_argument("--why", default="")
        verb("resume", "lets a paused job type run").add_argument("job_type")

    def handle(self, *, verb: str, **options: Any) -> None:
        self.as_json = options["json"]
        getattr(self, f"do_{verb}")(options)

    def say(self, data: Any, text: str) -> None:
        self.stdout.write(json.dumps(data, default=str, ensure_ascii=False) if self.as_json else text)

    def do_list(self, options: dict[str, Any]) -> None:
        chosen = {"status": options["status"], "dlq_reason": options["reason"]}
        chosen |= {"job_type": options["job_type"], "user_id": options["user_id"]}
        if options["limit"] < 1:
            raise CommandError("--limit must be 1 or more")
        jobs = JobLog.objects.filter(**{key: value for key, value in chosen.items() if value})[: options["limit"]]
        rows = [summary(job) for job in jobs]
        lines = [f"{r['jobId']:<44} {r['status']:<10} {r['attempts']:>5}  {r['created']}  {r['why']}" for r in rows]
        self.say(rows, "\n".join(lines) or "no jobs")

    def do_show(self, options: dict[str, Any]) -> None:
        job = find(options["job_id"])
        tries = list(job.attempts.values("number", "worker", "started_at", "ended_at", "outcome", "error"))
        data = {**summary(job), "due": job.run_at, "settled": job.processed_at, "error": job.error, "tries": tries}
        lines = [f"{key}: {value}" for key, value in data.items() if key != "tries"]
        lines += [f"  #{t['number']} {t['started_at']} {t['outcome']} {t['error']}" for t in tries]
        self.say(data, "\n".join(lines))

    def do_replay(self, options: dict[str, Any]) -> None:
        filters = chosen_filter(options)
        if filters and not options["dry_run"]:
            batch = bulk.start(filters, who=who(), why=options["why"])
            self.say({"matched": batch.matched, "batchId": str(batch.pk)}, f"{batch.matched} matched, batch {batch.pk}")
        else:
            self.act(options, filters, audit.AuditEntry.Act.REPLAY, queue.replay, (Status.DLQ,))

    def do_discard(self, options: dict[str, Any]) -> None:
        waiting = (Status.DLQ, Status.FAILED, Status.ENQUEUED)
        self.act(options, chosen_filter(options), audit.AuditEntry.Act.DISCARD, queue.discard, waiting)

    def act(
        self, options: dict[str, Any], filters: dict[str, Any], act: str, verb: Any, states: tuple[str, ...]
    ) -> None:
        named = [find(name) for name in options["job_id"]]
        jobs = bulk.matching(filters).order_by("pk").iterator() if filters else iter(named)
        count = bulk.count(filters) if filters else sum(job.status in states for job in named)
        if options["dry_run"]:
            self.say({"matched": count, "done": 0}, f"would {act} {count}")
            return
        done = 0
        for job in jobs:
            if verb(job):
                done += 1
                audit.record(who(), act, job.job_id, why=options["why"])
        self.say({"matched": count, "done": done}, f"{act}: {done} of {count if filters else len(named)}")

    def do_stats(self, _options: dict[str, Any]) -> None:
        counts = dict(JobLog.objects.order_by().values_list("status").annotate(Count("pk")))
        oldest = JobLog.objects.due().order_by("run_at").values_list("run_at", flat=True).first()
        waits = round((timezone.now() - oldest).total_seconds(), 1) if oldest else 0
        data: dict[str, Any] = {
            "statuses": {status: counts.get(status, 0) for status in Status.values},
            "oldestDueSeconds": waits,
            "clusters": list(clusters.alive().values("name", "workers", "in_flight", "seen_at")),
            "held": list(pauses.held().values_list("job_type", flat=True)),
        }
        lines = [f"{status:<12}{count:>10}" for status, count in data["statuses"].items()]
        lines += [f"oldest due job waits {waits} s", f"clusters alive: {len(data['clusters'])}"]
        self.say(data, "\n".join([*lines, *(f"held: {name}" for name in data["held"])]))

    def do_pause(self, options: dict[str, Any]) -> None:
        try:
            registry.get(options["job_type"])
        except LookupError as unknown:
            raise CommandError(str(unknown)) from None
        done = pauses.pause(options["job_type"], who=who(), why=options["why"])
        self.say({"paused": done}, "paused" if done else "was paused already")

    def do_resume(self, options: dict[str, Any]) -> None:
        done = pauses.resume(options["job_type"], who=who())
        self.say({"resumed": done}, "resumed" if done else "was not paused")


def summary(job: JobLog) -> dict[str, Any]:
    """One job in a line; no personal data."""
    return {
        "jobId": job.job_id,
        "type": job.job_type,
        "status": job.status,
        "attempts": f"{job.attempt_count}/{job.max_attempts}",
        "created": job.created_at.isoformat(timespec="seconds"),
        "why": " ".join(filter(None, (job.dlq_reason, job.fingerprint))),
    }


def find(job_id: str) -> JobLog:
    """The job of that id, or a CommandError that says so."""
    job = JobLog.objects.filter(job_id=job_id).first()
    if job is None:
        raise CommandError(f"there is no job {job_id!r}; `manage.py jobs list` shows the newest")
    return job


def chosen_filter(options: dict[str, Any]) -> dict[str, str]:
    """The filter that the options mean; job ids and a filter exclude each other, and one of them must be given."""
    names = {"reason": "reason", "error_class": "errorClass", "fingerprint": "fingerprint", "job_type": "jobType"}
    filters = {wire: options[name] for name, wire in names.items() if options[name]}
    if bool(filters) == bool(options["job_id"]):
        raise CommandError("name job ids, or a filter (--reason, --error-class, --fingerprint, --type), and not both")
    return filters


def who() -> str:
    """The person at the terminal, for the audit."""
    return f"cli:{getpass.getuser()}"
