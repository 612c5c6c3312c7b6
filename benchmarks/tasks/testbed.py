"""A contender's testbed for one round: a fresh database, an environment, its workers, their tasks and calls."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.contenders import MANAGE, ROOT
from benchmarks.processes import Programs
from benchmarks.services import Services
from benchmarks.tasks.calls import ENDED, Calls
from benchmarks.tasks.contenders import PEERS, Contender

STALL_SECONDS = 60.0  # without a call: no more will come
POLL_SECONDS = 0.25  # between two looks at the calls, which take time from the workers
TABLE = """
CREATE TABLE bench_rows (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, number bigint NOT NULL,
    written_at timestamptz NOT NULL DEFAULT now())
"""


class Testbed:
    """The database, environment and files of a contender."""

    def __init__(self, contender: Contender, services: Services) -> None:
        self.contender, self.services = contender, services
        self.database = f"run_{contender.name.replace('-', '_')}"
        self.log = services.folder / f"{contender.name}.log"
        self.calls = services.folder / f"{contender.name}.calls"
        self.environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
            "PYTHONPATH": str(ROOT),
            "DJANGO_SETTINGS_MODULE": "benchmarks.tasks.settings",
            "BENCH_CONTENDER": contender.name,
            "BENCH_REDIS": services.redis_url,
            "BENCH_CALLS": str(self.calls),
            "SECRET_KEY": "benchmark-only-" + "x" * 50,
            "DATABASE_URL": services.postgres.url(self.database),
        }

    def fresh(self) -> None:
        """Create an empty database with all tables, copied from one that is migrated once, and forget the calls."""
        template = f"made_{self.contender.name.replace('-', '_')}"
        if not self.services.sql("SELECT 1 FROM pg_database WHERE datname = %s", template):
            self.services.sql(f"CREATE DATABASE {template}")
            self._migrate(template)
            self.services.sql(TABLE, database=template)
        self.close()
        self.services.sql(f"CREATE DATABASE {self.database} TEMPLATE {template}")
        self.calls.unlink(missing_ok=True)

    def _migrate(self, database: str) -> None:
        """Make the tables of the apps, and those that a queue makes when its module is imported."""
        environment = {**self.environment, "DATABASE_URL": self.services.postgres.url(database)}
        module = f"import benchmarks.tasks.work, {PEERS}.{self.contender.module}"
        with self.log.open("ab") as log:
            for command in ([*MANAGE, "migrate", "--verbosity", "0"], [sys.executable, "-c", module]):
                subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=log, stderr=log)

    def enqueue(self, way: str, kind: str, first: int, count: int) -> Any:
        """Run benchmarks/tasks/enqueuing.py and return its output."""
        command = [sys.executable, "-m", "benchmarks.tasks.enqueuing", way, kind, str(first), str(count)]
        with self.log.open("ab") as log:
            done = subprocess.run(
                command, cwd=ROOT, env=self.environment, check=True, stdout=subprocess.PIPE, stderr=log
            )
        return json.loads(done.stdout)

    @contextmanager
    def workers(self) -> Iterator[Programs]:
        """Run the contender's workers."""
        with Programs(self.contender.commands, self.environment, self.log) as programs:
            yield programs

    def wait(self, numbers: Iterable[int], seconds: float = STALL_SECONDS) -> Calls:
        """Wait until these tasks have ended. Raises TimeoutError when none has ended for `seconds`."""
        wanted, seen, at = set(numbers), -1, time.monotonic()
        while True:
            found = Calls.read(self.calls, ENDED)
            if not wanted - found.at.keys():
                return found
            if len(found.at) > seen:
                seen, at = len(found.at), time.monotonic()
            if time.monotonic() - at > seconds:
                raise TimeoutError(f"{seen} of {len(wanted)} tasks ran\n{_tail(self.log)}")
            time.sleep(POLL_SECONDS)

    def close(self) -> None:
        self.services.sql(f"DROP DATABASE IF EXISTS {self.database} WITH (FORCE)")


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-3000:]
