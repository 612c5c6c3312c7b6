"""`manage.py jobs`: list, show, replay, discard and reschedule jobs, pause and resume job types and lanes."""

import math
from argparse import ArgumentParser
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.core.management.base import CommandError
from django.db.models import Count
from django.utils import timezone

from jobs.admin.parts import advice, timeline
from jobs.cluster import clusters
from jobs.core import masking, pauses
from jobs.core.job import WAITING, JobLog, Reason, Status
from jobs.management.verbs import VerbCommand, operator
from jobs.queue import actions, bulk_replay
from jobs.queue.criteria import JobCriteria
from jobs.queue.enqueue import check_run_at


class Command(VerbCommand):
    help = "Lists, shows, replays, discards and reschedules jobs; counts them; pauses and resumes job types and lanes."

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
        listing.add_argument("--lane", choices=pauses.Lane.values)
        listing.add_argument("--user", dest="user_id")
        listing.add_argument("--limit", type=int, default=20)
        verb("show", "one job with its attempts").add_argument("job_id")
        for name, text in (("replay", "replay dead letters"), ("discard", "discard dead letters or waiting jobs")):
            acting = verb(name, text)
            acting.add_argument("job_id", nargs="*")
            acting.add_argument("--reason", choices=Reason.values, help="all dead letters with this reason")
            acting.add_argument("--error-class", help="all dead letters with this class of error")
            acting.add_argument("--fingerprint", help="all dead letters with this error")
            acting.add_argument("--type", dest="job_type", help="all dead letters of this type")
            acting.add_argument("--dry-run", action="store_true", help="only count the jobs")
            acting.add_argument("--why", default="", help="the reason, for the audit")
        moving = verb("reschedule", "change when a waiting job is due")
        moving.add_argument("job_id")
        moving.add_argument("--at", required=True, help='"now", or a date and time: 2026-03-01T09:30+08:00')
        moving.add_argument("--why", default="", help="the reason, for the audit")
        verb("stats", "how many jobs have each status, how long the oldest has waited, the clusters")
        pausing = verb("pause", "suspend a job type, a lane (lane:NAME) or all-mail")
        pausing.add_argument("target")
        pausing.add_argument("--why", default="", help="the reason, for the audit")
        end = pausing.add_mutually_exclusive_group()
        end.add_argument("--hours", type=float, help="the pause ends automatically after so many hours")
        end.add_argument("--until", help="the pause ends automatically at this time: 2026-11-26T18:00+08:00")
        verb("resume", "let a paused job type, lane or all-mail run again").add_argument("target")

    def do_list(self, options: dict[str, Any]) -> None:
        if options["limit"] < 1:
            raise CommandError("--limit must be 1 or more")
        wanted = JobCriteria(
            statuses=_set_only(options["status"]),
            reason=options["reason"] or "",
            job_type=options["job_type"] or "",
            lane=options["lane"] or "",
            user_ids=_set_only(options["user_id"]),
        )
        rows = [summary(job) for job in wanted.jobs().order_by("-pk")[: options["limit"]]]
        lines = [f"{r['jobId']:<44} {r['status']:<10} {r['attempts']:>5}  {r['created']}  {r['why']}" for r in rows]
        self.output(rows, "\n".join(lines) or "no jobs")

    def do_show(self, options: dict[str, Any]) -> None:
        job, now = find_job(options["job_id"]), timezone.now()
        tries = list(job.attempts.values("number", "worker", "started_at", "ended_at", "outcome", "error"))
        for each in tries:
            each["error"] = masking.abbreviate(each["error"])
        error = masking.abbreviate(job.error)
        data = {**summary(job), "lane": job.lane, "due": job.run_at, "settled": job.processed_at, "error": error}
        advised = advice.advise(job, pauses.find_hold(job.job_type, job.lane), now)
        lines = [f"{key}: {indent(str(value))}" for key, value in data.items()]
        lines += [f"{advised.why} {advised.what}", *(line(each) for each in timeline.load_timeline(job, now))]
        self.output({**data, "tries": tries}, "\n".join(lines))

    def do_replay(self, options: dict[str, Any]) -> None:
        wanted = chosen_criteria(options)
        if wanted and not options["dry_run"]:
            batch = bulk_replay.start(wanted, who=operator(), why=options["why"])
            data = {"matched": batch.matched, "batchId": str(batch.pk)}
            self.output(data, f"{batch.matched} matched, batch {batch.pk}")
        else:
            self.act("replay", options, wanted, actions.replay, (Status.DLQ,))

    def do_discard(self, options: dict[str, Any]) -> None:
        self.act("discard", options, chosen_criteria(options), actions.discard, (Status.DLQ, *WAITING))

    def act(
        self,
        name: str,
        options: dict[str, Any],
        wanted: JobCriteria | None,
        action: actions.JobAction,
        states: tuple[str, ...],
    ) -> None:
        """Apply an action to the named jobs, or to the dead letters that match."""
        jobs: Iterable[JobLog]
        if wanted:
            jobs, asked = wanted.dead_letters().order_by("pk").iterator(), wanted.dead_letters().count()
            matched = asked
        else:
            jobs = named = [find_job(job_id) for job_id in options["job_id"]]
            asked, matched = len(named), sum(job.status in states for job in named)
        if options["dry_run"]:
            self.output({"matched": matched, "done": 0}, f"would {name} {matched}")
            return
        done = sum(action(job, who=operator(), why=options["why"]) for job in jobs)
        self.output({"matched": matched, "done": done}, f"{name}: {done} of {asked}")

    def do_reschedule(self, options: dict[str, Any]) -> None:
        job, run_at = find_job(options["job_id"]), parse_time(options["at"])
        done = actions.reschedule(job, run_at, who=operator(), why=options["why"])
        outcome = f"due at {run_at.isoformat(timespec='seconds')}" if done else f"nothing was done: it is {job.status}"
        self.output({"rescheduled": done}, outcome)

    def do_stats(self, _options: dict[str, Any]) -> None:
        counts = dict(JobLog.objects.order_by().values_list("status").annotate(Count("pk")))
        data: dict[str, Any] = {
            "statuses": {status: counts.get(status, 0) for status in Status.values},
            "oldestDueSeconds": round(JobLog.objects.runnable().oldest_wait(), 1),
            "clusters": list(clusters.alive().values("name", "workers", "in_flight", "seen_at")),
            "suspended": list(pauses.suspended().values_list("job_type", flat=True)),
            "paused": [
                {"target": str(each), "until": each.paused_until, "by": each.paused_by, "why": each.pause_reason}
                for each in pauses.active_pauses()
            ],
            "lanes": _lanes(),
        }
        lines = [f"{status:<12}{count:>10}" for status, count in data["statuses"].items()]
        lines += [
            f"lane {lane:<7}{n['waiting']:>10} oldest {n['oldestDueSeconds']} s" for lane, n in data["lanes"].items()
        ]
        lines += [f"oldest due job waits {data['oldestDueSeconds']} s", f"clusters alive: {len(data['clusters'])}"]
        lines += [f"suspended: {name}" for name in data["suspended"]]
        self.output(
            data, "\n".join([*lines, *(f"paused: {each['target']} {_left(each['until'])}" for each in data["paused"])])
        )

    def do_pause(self, options: dict[str, Any]) -> None:
        try:
            target = actions.find_target(options["target"])
            until = actions.find_end(options["hours"], options["until"])
        except (LookupError, ValueError) as wrong:
            raise CommandError(str(wrong)) from None
        done = actions.pause(target, who=operator(), why=options["why"], until=until)
        ends = {"until": until.isoformat(timespec="seconds")} if until else {}
        self.output({"paused": done, **ends}, "paused" if done else "was paused already")

    def do_resume(self, options: dict[str, Any]) -> None:
        done = actions.resume(options["target"], who=operator())
        self.output({"resumed": done}, "resumed" if done else "was not paused")


def _lanes() -> dict[str, dict[str, float]]:
    """Return of each lane how many jobs wait, and for how many seconds the oldest has been due."""
    waits, waiting = JobLog.objects.runnable().oldest_waits(), JobLog.objects.filter(status__in=WAITING).order_by()
    return {
        lane: {"waiting": waiting.filter(lane=lane).count(), "oldestDueSeconds": round(seconds, 1)}
        for lane, seconds in waits.items()
    }


def _left(until: datetime | None) -> str:
    """Return how long a pause lasts."""
    if until is None:
        return "until it is resumed"
    minutes = max(0, math.ceil((until - timezone.now()).total_seconds() / 60))
    return f"for {minutes} more minutes, until {until:%Y-%m-%d %H:%M} UTC"


def summary(job: JobLog) -> dict[str, Any]:
    """Return a job's columns of the list; no personal data."""
    scheduled, why = timeline.is_scheduled(job, timezone.now()), (job.dlq_reason, job.fingerprint)
    return {
        "jobId": job.job_id,
        "type": job.job_type,
        "status": job.status,
        "attempts": f"{job.attempt_count}/{job.max_attempts}",
        "created": job.created_at.isoformat(timespec="seconds"),
        "why": f"due {job.run_at.isoformat(timespec='seconds')}" if scheduled else " ".join(filter(None, why)),
    }


def line(event: timeline.Event) -> str:
    """Return an event of a job's timeline as text."""
    at = f"{event.at:%Y-%m-%d %H:%M:%S}" if event.at else " " * 19
    parts = [at, event.title, event.took, event.detail, *event.tags, event.error]
    return indent("  ".join(part for part in parts if part))


def indent(text: str) -> str:
    """Indent all lines but the first: no server's reply imitates a line."""
    return text.replace("\n", "\n    ")


def find_job(job_id: str) -> JobLog:
    """Return the job of that id. Raise CommandError when there is none."""
    job = JobLog.objects.filter(job_id=job_id).first()
    if job is None:
        raise CommandError(f"there is no job {job_id!r}; `manage.py jobs list` shows the newest")
    return job


def parse_time(text: str) -> datetime:
    """Return the time that an option means; without a zone it is in the site's. Raise CommandError for any other."""
    try:
        run_at = timezone.now() if text == "now" else datetime.fromisoformat(text)
        return check_run_at(timezone.make_aware(run_at) if timezone.is_naive(run_at) else run_at)
    except ValueError as wrong:
        raise CommandError(f"--at: {wrong}") from None


def chosen_criteria(options: dict[str, Any]) -> JobCriteria | None:
    """Return the criteria of the options; None when they name job ids.

    Raises CommandError for both or neither.
    """
    names = ("reason", "error_class", "fingerprint", "job_type")
    chosen = {name: options[name] for name in names if options[name]}
    if bool(chosen) == bool(options["job_id"]):
        raise CommandError("name job ids, or a filter (--reason, --error-class, --fingerprint, --type), and not both")
    return JobCriteria(**chosen) if chosen else None


def _set_only(value: str | None) -> tuple[str, ...]:
    return (value,) if value else ()
