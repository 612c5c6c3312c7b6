"""Chaos: jobs are enqueued steadily while everything is killed, again and again; then the mails are counted.

    python -m tests.chaos --minutes 20 [--clusters 3] [--rate 15] [--seed 1] [--table FILE] [--only WORDS]

A PostgreSQL, a mail server and clusters of its own. Ends with a table and with exit code 1 when a promise broke:
a job lost (P1), a mail sent twice beyond P2, a mail with two Message-IDs, or work that stood still for over 30 s.
"""

import argparse
import json
import logging
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import django
import psutil
import structlog

import tests.environment  # noqa: F401  (before Django's settings are read)
from tests.postgres import Postgres, die_with_parent, free_port

FOLDER = Path(tempfile.mkdtemp(prefix="chaos-", dir=os.environ["NOTIFIER_TESTS"]))
LEASE, WORKERS, STANDSTILL = 10, 2, 30.0
TAKES, LATE = 0.1, 0.05  # seconds that the mail server takes for a mail, and by how much a busy machine may be late


@dataclass
class Fault:
    """One kind of fault. pause: seconds it lasts. harms: mails that one such fault may take and not acknowledge, and
    so have sent twice; those of killed workers are counted afterwards, by their lost attempts."""

    name: str
    strike: Callable[[], object]
    mend: Callable[[], object] = lambda: None
    pause: float = 0.0
    harms: int = 0
    times: int = 0
    slowest: float = 0.0


@dataclass
class Tally:
    accepted: list[str] = field(default_factory=list)
    refused: int = 0
    twice_allowed: int = 0


class MailServer:
    """tests/smtp_server.py as a process; `log` has a line for each mail it took."""

    def __init__(self, port: int) -> None:
        self.port, self.log, self.control = port, FOLDER / "mails.jsonl", FOLDER / "behaviour.json"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "tests.smtp_server", "--port", str(self.port)]
        command += ["--log", str(self.log), "--control", str(self.control), "--pipelining"]
        self.process = subprocess.Popen(command, start_new_session=True, preexec_fn=die_with_parent)

    def kill(self) -> int:
        """SIGKILL; how many mails it had taken and not yet said so."""
        if not self.process:
            return 0
        self.process.kill()
        killed_at = time.time()
        self.process.wait()
        return sum(mail["at"] > killed_at - TAKES - LATE for mail in self.mails())

    def heal(self) -> None:
        """In good health it takes a tenth of a second for a mail, so that workers are busy."""
        self.behave(at="DATA", delay=TAKES)

    def behave(self, **behaviour: object) -> None:
        """From now on it does as `Behaviour` of tests/smtp_server.py says."""
        fresh = self.control.with_suffix(".new")
        fresh.write_text(json.dumps(behaviour))
        fresh.rename(self.control)

    def mails(self) -> list[dict]:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [json.loads(line) for line in lines]

    def taken(self) -> int:
        return self.log.stat().st_size if self.log.exists() else 0


class Chaos:
    def __init__(self, options: argparse.Namespace) -> None:
        from tests.site import Site

        self.options, self.tally, self.stop = options, Tally(), threading.Event()
        self.random = random.Random(options.seed)
        self.postgres = Postgres()
        self.postgres.start()
        self.postgres.execute("CREATE DATABASE chaos")
        self.smtp = MailServer(free_port())
        self.smtp.heal()
        self.smtp.start()
        self.site = Site(
            DATABASE_URL=self.postgres.url("chaos"),
            EMAIL_PORT=str(self.smtp.port),
            EMAIL_TIMEOUT="2",
            JOB_LEASE_SECONDS=str(LEASE),
            Q_WORKERS=str(WORKERS),
        )
        self.site.manage("migrate")
        self.clusters = [self.new_cluster() for _ in range(options.clusters)]
        for cluster in self.clusters:
            cluster.ready(WORKERS)

    def new_cluster(self):
        from tests.clusters import Qcluster

        return Qcluster(self.site.environment, FOLDER / "clusters.log")

    # --- the faults ---------------------------------------------------------------------------------------
    def faults(self) -> list[Fault]:
        smtp, ill, heal = self.smtp, self.smtp.behave, self.smtp.heal

        def answers(text: str, at: str = "RCPT") -> Callable[[], object]:
            return lambda: ill(at=at, answer=text)

        return [
            *(self.killing(part) for part in ("pusher", "monitor", "sentinel", "main", "keeper")),
            Fault("kill -9 an idle worker", lambda: self.kill_one("idle worker")),
            Fault("kill -9 all idle workers", lambda: self.victim().kill("idle worker")),
            Fault("kill -9 a busy worker", lambda: self.kill_one("busy worker")),
            Fault("kill -9 the supervisor", lambda: self.replace(lambda c: c.kill("supervisor"))),
            Fault("kill -9 a whole cluster", lambda: self.replace(lambda c: c.kill_everything())),
            Fault("SIGTERM to a whole cluster's group", lambda: self.replace(self.terminate_group)),
            Fault("end all database connections", self.end_connections),
            Fault("restart PostgreSQL", self.postgres.stop, self.postgres.start, 2.0),
            Fault("kill the mail server, start it again", self.kill_mail_server, smtp.start, 3.0),
            Fault("mail server answers 421", answers("421 4.7.0 too many"), heal, 2.0),
            Fault("mail server answers 450", answers("450 4.2.1 busy"), heal, 3.0),
            Fault("mail server answers 535", lambda: ill(at="MAIL", answer="535 5.7.8 no"), heal, 2.0),
            Fault("mail server answers 550", answers("550 5.1.1 no such user"), heal, 0.5),
            Fault("mail server hangs", lambda: ill(at="RCPT", hang=True), heal, 3.0),
            Fault("mail server dies after DATA", lambda: ill(at="DATA", die=True, times=2), heal, 1.0, harms=2),
        ]

    def killing(self, part: str) -> Fault:
        return Fault(f"kill -9 the {part}", lambda: self.victim().kill(part))

    def victim(self):
        return self.random.choice(self.clusters)

    def kill_one(self, part: str) -> None:
        """SIGKILL to one process of that part, in whichever cluster has one."""
        until = time.monotonic() + 10
        while time.monotonic() < until:
            for cluster in self.random.sample(self.clusters, len(self.clusters)):
                if found := cluster.find(part):
                    os.kill(found[0], signal.SIGKILL)
                    return
        raise AssertionError(f"no {part} to kill")

    def kill_mail_server(self) -> None:
        self.tally.twice_allowed += self.smtp.kill()

    def replace(self, end: Callable) -> None:
        """Ends a cluster and starts another, as systemd would."""
        number = self.random.randrange(len(self.clusters))
        end(self.clusters[number])
        self.clusters[number].process.wait(60)
        self.clusters[number] = self.new_cluster()

    def terminate_group(self, cluster) -> None:
        cluster.ready(WORKERS)  # one that is still starting has no work to end in good order
        everybody = cluster.everybody()
        os.killpg(cluster.pid, signal.SIGTERM)
        code = cluster.process.wait(60)
        left = [process for process in psutil.wait_procs(everybody, timeout=2)[1] if lives(process)]
        if code or left:
            raise AssertionError(f"SIGTERM ended a cluster with {code} and left {left}")

    def end_connections(self) -> None:
        self.postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'chaos'")

    # --- the load -----------------------------------------------------------------------------------------
    def enqueue_steadily(self) -> None:
        """One job after another at the rate; counts it as accepted when the commit was answered, or found done."""
        from django.db import Error, connection

        from jobs import queue

        number = 0
        while not self.stop.wait(1 / self.options.rate):
            number += 1
            job_id = f"chaos-{number}"
            while True:
                try:
                    queue.enqueue("signin-notification", payload(job_id), job_id=job_id, user_id=job_id)
                    break
                except queue.Duplicate:
                    break
                except Error:
                    self.tally.refused += 1
                    connection.close()
                    time.sleep(0.2)
            self.tally.accepted.append(job_id)

    # --- the run ------------------------------------------------------------------------------------------
    def run(self) -> list[Fault]:
        load = threading.Thread(target=self.enqueue_steadily, daemon=True)
        load.start()
        kinds = [fault for fault in self.faults() if self.options.only in fault.name]
        until = time.monotonic() + self.options.minutes * 60
        while time.monotonic() < until:
            for fault in self.random.sample(kinds, len(kinds)):
                if time.monotonic() < until:
                    self.suffer(fault)
        self.stop.set()
        load.join()
        return kinds

    def suffer(self, fault: Fault) -> None:
        say(f"{fault.name} ...")
        fault.strike()
        time.sleep(fault.pause)
        fault.mend()
        fault.times += 1
        self.tally.twice_allowed += fault.harms
        over, taken = time.monotonic(), self.smtp.taken()
        while self.smtp.taken() == taken and time.monotonic() - over < 2 * STANDSTILL:
            time.sleep(0.05)
        took = time.monotonic() - over
        fault.slowest = max(fault.slowest, took)
        say(f"    work goes on after {took:.1f} s")
        time.sleep(self.options.calm)

    def settle(self, seconds: float = 240) -> None:
        """Waits until no job is on its way any more; replays what is dead and not for good, as an operator would."""
        from django.db import connection

        from jobs import queue
        from jobs.models import JobLog, Status

        until = time.monotonic() + seconds
        while time.monotonic() < until:
            connection.close()
            for job in JobLog.objects.dead().exclude(dlq_reason="permanent"):
                say(f"    dead: {job.job_id} {job.dlq_reason} {job.fingerprint}, replayed")
                queue.replay(job)
            open_ones = JobLog.objects.filter(status__in=[Status.ENQUEUED, Status.PROCESSING, Status.FAILED]).count()
            if not open_ones:
                return
            time.sleep(1)

    def close(self) -> list[int]:
        """Ends everything; the clusters' exit codes."""
        codes = [cluster.end() for cluster in self.clusters]
        self.smtp.kill()
        self.site.remove()
        self.postgres.remove()
        return codes


def payload(job_id: str) -> dict[str, object]:
    return {
        "userId": job_id,
        "email": f"{job_id}@example.mn",
        "name": "Бат",
        "provider": "password",
        "ipAddress": "192.0.2.1",
        "browser": "Firefox",
        "system": "Linux",
        "timestamp": "2026-11-25T01:00:00+00:00",
        "locale": "mn",
        "timezone": "Asia/Ulaanbaatar",
        "newDevice": False,
    }


def lives(process: psutil.Process) -> bool:
    """Whether it runs still; one that is dead and waits for init to take notice does not."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)  # noqa: T201


def verdict(chaos: Chaos, kinds: list[Fault]) -> tuple[str, bool]:
    """The table, and whether every promise held."""
    from jobs.models import JobAttempt, JobLog, Status

    mails = chaos.smtp.mails()
    ids = Counter(mail["message_id"] for mail in mails)
    recipients: dict[str, set[str]] = {}
    for mail in mails:
        recipients.setdefault(mail["rcpt"][0], set()).add(mail["message_id"])
    rows = dict(JobLog.objects.values_list("job_id", "status"))
    lost = [
        job_id
        for job_id in chaos.tally.accepted
        if rows.get(job_id) not in (Status.COMPLETED, Status.DLQ, Status.DISCARDED)
        or (rows[job_id] == Status.COMPLETED and f"{job_id}@example.mn" not in recipients)
    ]
    twice = sum(count - 1 for count in ids.values())
    renamed = sum(len(found) - 1 for found in recipients.values())
    slowest = max(fault.slowest for fault in kinds)
    ended = Counter(rows.values())
    allowed = chaos.tally.twice_allowed + JobAttempt.objects.filter(outcome=JobAttempt.Outcome.LOST).count()
    good = not lost and not renamed and twice <= allowed and slowest <= STANDSTILL
    lines = [
        "| fault | times | work went on after, at the slowest |",
        "|---|---:|---:|",
        *(f"| {fault.name} | {fault.times} | {fault.slowest:.1f} s |" for fault in kinds),
        "",
        "| jobs | lost | completed | dead letters | sent twice (allowed) | second Message-IDs | longest stall |",
        "|---:|---:|---:|---:|---:|---:|---:|",
        f"| {len(chaos.tally.accepted)} | {len(lost)} | {ended[Status.COMPLETED]} | {ended[Status.DLQ]} "
        f"| {twice} ({allowed}) | {renamed} | {slowest:.1f} s |",
    ]
    if lost:
        lines += ["", f"lost: {', '.join(lost[:20])}"]
    return "\n".join(lines), good


def set_up(chaos: Chaos) -> None:
    """Django in this process, on the database of the chaos."""
    of_the_run = os.environ["DATABASE_URL"]
    os.environ.update(DATABASE_URL=chaos.postgres.url("chaos"), DJANGO_SETTINGS_MODULE="notifier.settings")
    django.setup()
    os.environ["DATABASE_URL"] = of_the_run
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--clusters", type=int, default=3)
    parser.add_argument("--rate", type=float, default=15, help="jobs a second")
    parser.add_argument("--calm", type=float, default=1.0, help="seconds between two faults")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--only", default="", help="only the faults whose name holds this")
    parser.add_argument("--table", type=Path, help="a file for the table")
    options = parser.parse_args()
    say(f"chaos for {options.minutes} minutes, seed {options.seed}, in {FOLDER}")

    chaos = Chaos(options)
    set_up(chaos)
    kinds = chaos.run()
    chaos.settle()
    table, good = verdict(chaos, kinds)
    say(f"seed {options.seed}\n\n{table}\n")
    if options.table:
        options.table.write_text(table + "\n")
    codes = chaos.close()
    say(f"clusters ended with {codes}; {'every promise held' if good else 'A PROMISE BROKE'}")
    sys.exit(0 if good and not any(codes) else 1)


if __name__ == "__main__":
    main()
