"""`manage.py schedules`: what the admin page of schedules does, from the command line."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from jobs.core.job import JobLog
from jobs.management.verbs import VerbCommand, operator
from jobs.queue.enqueue import Duplicate
from jobs.schedules import actions, registry
from jobs.schedules.state import ScheduleState


class Command(VerbCommand):
    help = "Lists the schedules of SCHEDULES, runs one now, pauses or resumes one. Changes are written to the audit."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="machine-readable output")
        verbs = parser.add_subparsers(dest="verb", required=True)
        verbs.add_parser("list", help="each schedule, when it is due next and was last, and its last job")
        for verb, text in (
            ("run", "enqueue its job now; its ticks stay"),
            ("pause", "stop its ticks until it is resumed"),
            ("resume", "let it tick again, from now on"),
        ):
            one = verbs.add_parser(verb, help=text)
            one.add_argument("name")
            one.add_argument("--why", default="", help="the reason, for the audit")

    def do_list(self, _options: dict[str, Any]) -> None:
        states = {state.name: state for state in ScheduleState.objects.all()}
        schedules, faults = registry.all_schedules(), registry.faults()
        names = sorted({*states, *schedules, *(fault.name for fault in faults)})
        wrong = {name: [f"{fault.what}. {fault.do}" for fault in faults if fault.name == name] for name in names}
        rows = [_summary(name, states.get(name), schedules.get(name), wrong[name]) for name in names]
        lines = [
            f"{r['name']:<24} {r['state']:<8} next {r['next'] or '-':<20} last {r['last'] or '-':<20} {r['job']}"
            for r in rows
        ]
        self.output(rows, "\n".join([*lines, *(f"{name}: {text}" for name in names for text in wrong[name])]) or "none")

    def do_run(self, options: dict[str, Any]) -> None:
        try:
            job = actions.run_now(options["name"], who=operator(), why=options["why"])
        except (LookupError, TypeError, ValueError) as wrong:
            raise CommandError(str(wrong)) from None
        except Duplicate as started:
            raise CommandError(f"it was started just now: {started.job.job_id}") from None
        self.output({"jobId": job.job_id}, job.job_id)

    def do_pause(self, options: dict[str, Any]) -> None:
        self._known(options["name"])
        done = actions.pause(options["name"], who=operator(), why=options["why"])
        self.output({"paused": done}, "paused" if done else "was paused already")

    def do_resume(self, options: dict[str, Any]) -> None:
        self._known(options["name"])
        done = actions.resume(options["name"], who=operator(), why=options["why"])
        self.output({"resumed": done}, "resumed" if done else "was not paused")

    def _known(self, name: str) -> None:
        if not ScheduleState.objects.filter(name=name).exists():
            raise CommandError(f"no cluster has a schedule {name!r}; `manage.py schedules list` shows those there are")


def _summary(
    name: str, state: ScheduleState | None, schedule: registry.Schedule | None, wrong: list[str]
) -> dict[str, Any]:
    job = state.last_job() if state else None
    paused = state is not None and state.paused_at is not None
    status = "wrong" if wrong else "removed" if schedule is None else "paused" if paused else "active"
    return {
        "name": name,
        "state": status,
        "cron": schedule.cron if schedule else "",
        "timezone": schedule.zone.key if schedule else "",
        "next": _utc(state.next_tick) if state and not paused else "",
        "last": _utc(state.last_tick) if state else "",
        "job": _job(job) if job else (state.last_job_id if state else ""),
        "wrong": wrong,
    }


def _job(job: JobLog) -> str:
    return f"{job.job_id} {job.status}"


def _utc(at: Any) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}" if at else ""
