"""The kinds of faults of the chaos run. KINDS selects by the first column of the table, `slug`."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.chaos.load import Window
from tests.chaos.stand import WORKERS, SmallDisk, Stand
from tests.support import faults
from tests.support.clusters import Qcluster

PIDS = Path("/sys/fs/cgroup/pids")


@dataclass
class Kind:
    """One kind of fault. pause: seconds it lasts. harms: returns how many mails this one may have had sent twice
    although no worker was killed: the mail server took them and could not say so."""

    slug: str
    name: str
    strike: Callable[[], object]
    repair: Callable[[], object] = lambda: None
    pause: float = 0.0
    harms: Callable[[float], int] = lambda struck_at: 0
    times: int = 0
    slowest: float = 0.0
    """Seconds from the end of the fault until a mail was taken, at the most."""
    allowed: int = 0
    windows: list[Window] = field(default_factory=list)
    spans: list[tuple[float, float]] = field(default_factory=list)
    """time.time() of the start of each, and of the start of the next fault."""


def all_kinds(stand: Stand) -> list[Kind]:
    """Every kind that this machine can cause."""
    kinds = [*_kills(stand), *_of_the_mail_server(stand), *_silent(stand), *_of_the_database(stand), *_restarts(stand)]
    if stand.namespaces:
        kinds += _of_the_network(stand)
    if isinstance(stand.postgres, SmallDisk):
        kinds.append(Kind("disk-full", "the database's disk is full for 15 s", *_disk(stand), 15.0))
    if os.access(PIDS, os.W_OK):
        kinds.append(_refused_forks(stand))
    return kinds


def _kills(stand: Stand) -> list[Kind]:
    def part(name: str) -> Kind:
        return Kind(f"kill-{name.replace(' ', '-')}", f"kill -9 the {name}", lambda: stand.any_cluster().kill(name))

    return [
        *(part(name) for name in ("pusher", "monitor", "sentinel", "main", "watchdog")),
        Kind("kill-idle-worker", "kill -9 an idle worker", lambda: _kill_one(stand, "idle worker")),
        Kind("kill-idle-workers", "kill -9 all idle workers", lambda: stand.any_cluster().kill("idle worker")),
        Kind("kill-busy-worker", "kill -9 a busy worker", lambda: _kill_one(stand, "busy worker")),
        Kind("kill-supervisor", "kill -9 the supervisor", lambda: stand.replace_cluster(_kill_supervisor)),
        Kind("kill-cluster", "kill -9 a whole cluster", lambda: stand.replace_cluster(Qcluster.kill_everything)),
        Kind("stop-cluster", "SIGTERM to a whole cluster's group", lambda: stand.replace_cluster(_terminate_group)),
        Kind(
            "cold-kill",
            "kill -9 everything, start it again",
            stand.kill_everything,
            stand.start_everything,
            2.0,
        ),
    ]


def _of_the_mail_server(stand: Stand) -> list[Kind]:
    smtp = stand.smtp
    killed: list[int] = []

    def answers(code: str, text: str, seconds: float, at: str = "RCPT") -> Kind:
        misbehave = lambda: smtp.behave(at=at, answer=f"{code} {text}")  # noqa: E731
        return Kind(f"smtp-{code}", f"mail server answers {code}", misbehave, smtp.heal, seconds)

    dies = lambda: smtp.behave(at="DATA", die=True, times=2)  # noqa: E731
    hangs = lambda: smtp.behave(at="RCPT", hang=True)  # noqa: E731
    return [
        Kind(
            "kill-smtp",
            "kill the mail server, start it again",
            lambda: killed.append(smtp.kill()),
            smtp.start,
            3.0,
            lambda _: killed.pop(),
        ),
        answers("421", "4.7.0 too many", 2.0),
        answers("450", "4.2.1 busy", 3.0),
        answers("535", "5.7.8 no", 2.0, at="MAIL"),
        answers("550", "5.1.1 no such user", 0.5),
        Kind("smtp-hangs", "mail server hangs", hangs, smtp.heal, 3.0),
        Kind("smtp-dies", "mail server dies after DATA", dies, smtp.heal, 1.0, lambda _: 2),
    ]


def _silent(stand: Stand) -> list[Kind]:
    table = lambda: faults.locked_table(stand.postgres.url("chaos"), "job_logs")  # noqa: E731
    return [
        _held("stop-postgres", "PostgreSQL is silent for 20 s", lambda: faults.stopped(stand.postgres.process), 20.0),
        _held("stop-redis", "Redis is silent for 20 s", lambda: faults.stopped(stand.redis), 20.0),
        _held("lock-table", "a table is locked for 20 s", table, 20.0),
    ]


def _of_the_database(stand: Stand) -> list[Kind]:
    postgres = lambda: stand.postgres  # noqa: E731  (a standby may have taken its place)
    return [
        Kind("end-connections", "end all database connections", stand.end_connections),
        Kind("restart-postgres", "restart PostgreSQL", lambda: postgres().stop(), lambda: postgres().start(), 2.0),
        _held("read-only", "PostgreSQL is read-only for 20 s", lambda: faults.read_only(postgres()), 20.0),
        _held("no-connections", "no connection is left for 20 s", lambda: faults.connections_taken(postgres()), 20.0),
        Kind("failover", "the primary is lost, its standby takes over", stand.fail_over),
    ]


def _restarts(stand: Stand) -> list[Kind]:
    return [
        Kind("roll-web", "rolling restart of the web behind a proxy", stand.roll_web),
        Kind("reload-web", "SIGHUP to every web host", stand.reload_web),
    ]


def _of_the_network(stand: Stand) -> list[Kind]:
    database = lambda: faults.packets_dropped(stand.switch.port)  # noqa: E731
    mail = lambda: faults.packets_dropped(stand.smtp.port)  # noqa: E731
    in_data: list[int] = []

    def cut_mail() -> AbstractContextManager:
        in_data.append(stand.in_flight())
        return mail()

    return [
        _held("drop-database", "packets to and from the database vanish for 15 s", database, 15.0),
        _held(
            "drop-smtp", "packets to and from the mail server vanish for 15 s", cut_mail, 15.0, lambda _: in_data.pop()
        ),
    ]


def _held(
    slug: str,
    name: str,
    fault: Callable[[], AbstractContextManager],
    seconds: float,
    harms: Callable[[float], int] = lambda _: 0,
) -> Kind:
    """A fault that lasts as long as a context."""
    stack = ExitStack()
    return Kind(slug, name, lambda: stack.enter_context(fault()), stack.close, seconds, harms)


def _disk(stand: Stand) -> tuple[Callable[[], object], Callable[[], object]]:
    """Fills the disk, while it is the first server that runs; a standby has the machine's disk."""

    def change(full: bool) -> None:
        if isinstance(stand.postgres, SmallDisk):
            stand.postgres.fill() if full else stand.postgres.free()

    return lambda: change(True), lambda: change(False)


def _refused_forks(stand: Stand) -> Kind:
    """The pids of one cluster are limited to those it has, and some of its processes are killed."""
    group = PIDS / f"chaos-{os.getpid()}"

    def limit() -> None:
        cluster = stand.any_cluster()
        group.mkdir(exist_ok=True)
        for process in cluster.processes():
            (group / "cgroup.procs").write_text(str(process.pid))
        (group / "pids.max").write_text("1")
        for part in ("watchdog", "busy worker"):
            cluster.kill(part)

    return Kind(
        "refuse-forks", "forks are refused for 15 s", limit, lambda: (group / "pids.max").write_text("max"), 15.0
    )


def _kill_supervisor(cluster: Qcluster) -> None:
    cluster.kill("supervisor")


def _kill_one(stand: Stand, part: str) -> None:
    """SIGKILL to one process of that part, in whichever cluster has one."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        for cluster in stand.random.sample(stand.clusters, len(stand.clusters)):
            if found := cluster.find(part):
                os.kill(found[0], signal.SIGKILL)
                return
    raise AssertionError(f"no {part} to kill")


def _terminate_group(cluster: Qcluster) -> None:
    cluster.ready(WORKERS)  # one that is still starting has no work to end in good order
    members = cluster.processes()
    os.killpg(cluster.pid, signal.SIGTERM)
    code = cluster.process.wait(60)
    left = [process for process in psutil.wait_procs(members, timeout=2)[1] if _lives(process)]
    if code or left:
        raise AssertionError(f"SIGTERM ended a cluster with {code} and left {left}")


def _lives(process: psutil.Process) -> bool:
    """Whether it runs still; one that is dead and waits for init to take notice does not."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
