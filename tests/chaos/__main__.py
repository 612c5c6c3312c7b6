"""Chaos: notices are posted steadily while everything is killed, cut off or full; then the mails are counted.

    python -m tests.chaos --minutes 20 [--kinds stop-postgres,failover] [--broker redis] [--clusters 3] [--rate 15]

A PostgreSQL, a Redis, a mail server, a proxy, two web hosts and clusters of its own, with the shipped leases, and a
receiver of events that fails for five seconds of twenty. As root the whole stand has a network and disks of its own
(unshare), so that packets can vanish and a disk can be full.
Ends with a table and with exit code 1 when a promise broke: a job lost (P1), an event lost (P12), a mail sent twice
beyond P2, a mail with two Message-IDs, a web request longer than 3.5 s or one to /healthz longer than 0.6 s (P15, and
half a second for a busy machine), or work that stood still for over 30 s after a fault's end.
"""

import argparse
import logging
import os
import random
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

import django
import structlog

import tests.support.environment  # noqa: F401  (before Django's settings are read)
from tests.chaos.kinds import Kind, all_kinds
from tests.chaos.load import Load
from tests.chaos.prober import probing
from tests.chaos.stand import Stand, own_mounts
from tests.chaos.verdict import STANDSTILL, judge
from tests.support.faults import can_drop_packets, own_network
from tests.support.receiver import Received
from tests.support.site import Site

FOLDER = Path(tempfile.mkdtemp(prefix="chaos-", dir=os.environ["NOTIFIER_TESTS"]))


def receive(_event: Received) -> tuple[int, bytes] | bytes:
    """Answer an event; for five seconds of twenty with an error, or not at all."""
    second = time.time() % 20
    return (204, b"") if second > 5 else (503, b"later") if second > 2 else b""


def run(stand: Stand, load: Load, kinds: list[Kind], options: argparse.Namespace) -> None:
    """Causes one fault after another, in random order, each kind at least once when there is time."""
    until = time.monotonic() + options.minutes * 60
    while time.monotonic() < until:
        for kind in stand.random.sample(kinds, len(kinds)):
            if time.monotonic() < until:
                suffer(stand, load, kind, options.calm)


def suffer(stand: Stand, load: Load, kind: Kind, calm: float) -> None:
    say(f"{kind.slug}: {kind.name} ...")
    window = load.begin_window()
    struck_at = time.time()
    kind.strike()
    time.sleep(kind.pause)
    kind.repair()
    kind.times += 1
    kind.allowed += kind.harms(struck_at)
    over, taken = time.monotonic(), stand.smtp.taken()
    while stand.smtp.taken() == taken and time.monotonic() - over < 3 * STANDSTILL:
        time.sleep(0.05)
    took = time.monotonic() - over
    kind.slowest = max(kind.slowest, took)
    time.sleep(calm)
    kind.windows.append(window)
    kind.spans.append((struck_at, time.time()))
    say(
        f"    work goes on after {took:.1f} s; longest request {window.longest:.2f} s, "
        f"/healthz {window.longest_probe * 1000:.0f} ms, static answer {window.longest_static * 1000:.0f} ms; "
        f"refused {dict(window.refused)}"
    )


def settle(seconds: float = 240) -> None:
    """Waits until no job is on its way any more; replays what is dead and not for good, as an operator would."""
    from django.db import connection

    from jobs.core.job import JobLog, Status
    from jobs.queue import actions

    until = time.monotonic() + seconds
    while time.monotonic() < until:
        connection.close()
        for job in JobLog.objects.dead().exclude(dlq_reason="permanent"):
            say(f"    dead: {job.job_id} {job.dlq_reason} {job.fingerprint}, replayed")
            actions.replay(job, who=None)
        actions.wake(JobLog.objects.filter(job_type="event", status=Status.FAILED))
        if not JobLog.objects.filter(status__in=[Status.ENQUEUED, Status.PROCESSING, Status.FAILED]).exists():
            return
        time.sleep(1)


def say(text: str) -> None:
    print(time.strftime("%H:%M:%S", time.gmtime()), text, flush=True)  # noqa: T201


def set_up(stand: Stand) -> None:
    """Django in this process, on the database of the chaos."""
    of_the_run = os.environ["DATABASE_URL"]
    os.environ.update(DATABASE_URL=stand.site.environment["DATABASE_URL"], DJANGO_SETTINGS_MODULE="notifier.settings")
    django.setup()
    os.environ["DATABASE_URL"] = of_the_run
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--kinds", default="", help="only these, separated by commas")
    parser.add_argument("--clusters", type=int, default=3)
    parser.add_argument("--broker", choices=["orm", "redis"], default="orm", help="what carries the messages")
    parser.add_argument("--rate", type=float, default=15, help="notices a second")
    parser.add_argument("--calm", type=float, default=3.0, help="seconds between two faults")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--count-only", action="store_true", help="judge jobs and mails, not times")
    parser.add_argument("--table", type=Path, help="a file for the table")
    return parser.parse_args()


def chosen(kinds: list[Kind], names: str) -> list[Kind]:
    """The kinds of these slugs, all for none; ends the program for an unknown one."""
    wanted = set(filter(None, names.split(",")))
    if unknown := wanted - {kind.slug for kind in kinds}:
        sys.exit(f"not possible here: {', '.join(unknown)}. Possible: {', '.join(kind.slug for kind in kinds)}")
    return [kind for kind in kinds if kind.slug in wanted or not wanted]


def main() -> None:
    options = parse()
    namespaces = can_drop_packets() and own_mounts()
    say(f"chaos for {options.minutes} minutes, seed {options.seed}, in {FOLDER}")
    with Site() as site, own_network() if namespaces else nullcontext():
        database = site.environment["DATABASE_URL"]
        site.environment["Q_BROKER"] = options.broker
        stand = Stand(site, FOLDER, clusters=options.clusters, seed=options.seed, namespaces=namespaces)
        set_up(stand)
        kinds = chosen(all_kinds(stand), options.kinds)
        stand.receiver.answer = receive
        load = Load(stand.port, stand.key, options.rate)
        load.start()
        with probing([stand.port, *stand.web_ports], load.add_probe):
            run(stand, load, kinds, options)
        load.stop()
        stand.receiver.answer = (204, b"")
        settle()
        verdict = judge(kinds, load, stand, strict=not options.count_only)
        say(f"seed {options.seed}\n\n{verdict.table}\n")
        if options.table:
            options.table.write_text(verdict.table + "\n")
        codes = stand.close()
        site.environment["DATABASE_URL"] = database  # the one that is to be dropped
    say(f"clusters ended with {codes}; {'every promise held' if verdict.good else 'A PROMISE BROKE'}")
    sys.exit(0 if verdict.good and not any(codes) else 1)


if __name__ == "__main__":
    main()
