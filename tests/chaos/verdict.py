"""The verdict of a chaos run: a row for each kind of fault, and whether every promise held."""

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from tests.chaos.kinds import Kind
from tests.chaos.load import Load
from tests.chaos.mail_server import LATE, TAKES
from tests.chaos.stand import Stand

EVENT = "event"  # the job type
STANDSTILL, LONGEST_REQUEST, LONGEST_PROBE = 30.0, 3.0, 0.1  # seconds (P1, P15)
SLACK = 0.5  # seconds that a busy machine may add to a request


@dataclass
class Verdict:
    table: str
    good: bool


def judge(kinds: list[Kind], load: Load, stand: Stand, strict: bool) -> Verdict:
    """Count jobs, mails and events. strict: whether the times of web requests and of the end of a standstill count."""
    from jobs.core.attempts import JobAttempt
    from jobs.core.job import JobLog, Status

    taken = defaultdict(list)
    accepted, given_up = load.accepted, load.given_up
    for mail in stand.smtp.mails():
        taken[mail["rcpt"][0]].append(mail)
    rows = dict(JobLog.objects.exclude(job_type=EVENT).values_list("job_id", "status"))
    events = [one for one in stand.receiver.accepted if one.body["type"] == "notice.delivered"]
    reported = {one.body["data"]["jobId"] for one in events}
    silent = {i for i in accepted if rows.get(stored(i)) == Status.COMPLETED and i not in reported}
    lost = {
        job_id
        for job_id in accepted
        if (status := rows.get(stored(job_id))) not in (Status.COMPLETED, Status.DLQ, Status.DISCARDED)
        or (status == Status.COMPLETED and address(job_id) not in taken)
    }
    repeated = {
        to: (sent[0]["at"], len(sent) - len({mail["message_id"] for mail in sent})) for to, sent in taken.items()
    }
    renamed = sum(len({mail["message_id"] for mail in sent}) - 1 for sent in taken.values())
    attempts = JobAttempt.objects.exclude(job__job_type=EVENT).filter(
        outcome=JobAttempt.Outcome.LOST, started_at__isnull=False
    )
    killed = [  # when its mail was first taken, if it was: as `repeated` has it
        taken[mail["email"]][0]["at"] if mail["email"] in taken else at.timestamp()
        for mail, at in attempts.values_list("job__payload", "started_at")
    ]
    lines = [_row(kind, lost, repeated, killed) for kind in kinds if kind.times]
    twice = sum(count for _, count in repeated.values())
    allowed = len(killed) + sum(kind.allowed for kind in kinds)
    ended = Counter(rows.values())
    table = "\n".join(
        [
            "| kind | fault | times | jobs | lost | twice (allowed) | work resumed after | longest request "
            "| longest /healthz | longest static answer |",
            "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
            *lines,
            "",
            "| jobs | lost | completed | dead letters | sent twice (allowed) | second Message-IDs | given up "
            "| events | lost | sent twice |",
            "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
            f"| {len(accepted)} | {len(lost)} | {ended[Status.COMPLETED]} | {ended[Status.DLQ]} | {twice} ({allowed}) "
            f"| {renamed} | {len(given_up)} | {len(reported)} | {len(silent)} "
            f"| {len(events) - len({one.id for one in events})} |",
            "",
            _probes(kinds),
            *(["", f"lost: {', '.join(sorted(lost)[:20])}"] if lost else []),
        ]
    )
    quick = all(_is_quick(kind) for kind in kinds) or not strict
    return Verdict(table, not lost and not silent and not renamed and not given_up and twice <= allowed and quick)


def _row(kind: Kind, lost: set[str], repeated: dict[str, tuple[float, int]], killed: list[float]) -> str:
    within = _within(kind)
    accepted = [job_id for window in kind.windows for job_id in window.accepted]
    twice = sum(count for at, count in repeated.values() if within(at))
    allowed = kind.allowed + sum(map(within, killed))
    longest = max(window.longest for window in kind.windows)
    probe = max(window.longest_probe for window in kind.windows)
    static = max(window.longest_static for window in kind.windows)
    return (
        f"| `{kind.slug}` | {kind.name} | {kind.times} | {len(accepted)} | {len(lost.intersection(accepted))} "
        f"| {twice} ({allowed}) | {kind.slowest:.1f} s | {longest:.2f} s | {probe * 1000:.0f} ms "
        f"| {static * 1000:.0f} ms |"
    )


def _probes(kinds: list[Kind]) -> str:
    windows = [window for kind in kinds for window in kind.windows]
    probes = [seconds for window in windows for seconds in window.probes]
    static = [seconds for window in windows for seconds in window.static]
    return (
        f"/healthz: {len(probes)} requests, {_slow(probes)} of them longer than {LONGEST_PROBE * 1000:.0f} ms; "
        f"static answers of nginx: {len(static)}, {_slow(static)}"
    )


def _slow(probes: list[float]) -> int:
    return sum(seconds > LONGEST_PROBE for seconds in probes)


def _within(kind: Kind) -> Callable[[float], bool]:
    """Return whether a time is within a fault of that kind; what was taken just before may not have been answered."""
    return lambda at: any(start <= at + TAKES + LATE < end for start, end in kind.spans)


def _is_quick(kind: Kind) -> bool:
    longest = max((window.longest for window in kind.windows), default=0.0)
    probe = max((window.longest_probe for window in kind.windows), default=0.0)
    return kind.slowest <= STANDSTILL and longest <= LONGEST_REQUEST + SLACK and probe <= LONGEST_PROBE + SLACK


def stored(job_id: str) -> str:
    """The id under which a job of the site "chaos" is stored."""
    return f"chaos:{job_id}"


def address(job_id: str) -> str:
    """The recipient of a job."""
    return f"{job_id}@example.mn"
