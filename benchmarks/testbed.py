"""A contender's testbed for one round: a fresh database, an environment, its workers and their jobs."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.contenders import MANAGE, OURS, ROOT, Contender
from benchmarks.ledger_table import TABLE
from benchmarks.processes import Programs
from benchmarks.services import Services, eventually

STALL_SECONDS = 60.0  # without an email: no more will arrive
POLL_SECONDS = 0.02


class Testbed:
    """The database, environment and log of a contender. `settings` override its environment variables."""

    def __init__(self, contender: Contender, services: Services, **settings: str) -> None:
        self.contender, self.services = contender, services
        self.database = f"run_{contender.name.replace('-', '_')}"
        self.log = services.folder / f"{contender.name}.log"
        self.environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
            "PYTHONPATH": str(ROOT),
            "DJANGO_SETTINGS_MODULE": "notifier.settings" if contender is OURS else "benchmarks.settings",
            "BENCH_CONTENDER": contender.name,
            "BENCH_REDIS": services.redis_url,
            "RQ_REDIS_URL": services.redis_url,
            "ENV_FILE": os.devnull,
            "VAR_DIR": str(services.folder),
            "SECRET_KEY": "benchmark-only-" + "x" * 50,
            "ALLOWED_HOSTS": "example.mn",
            "SITE_URL": "https://example.mn",
            "SUPPORT_EMAIL": "help@example.mn",
            "DEFAULT_FROM_EMAIL": "Yellow Books <no-reply@example.mn>",
            "EMAIL_HOST": "127.0.0.1",
            "EMAIL_PORT": str(services.sink.port),
            "DATABASE_URL": services.postgres.url(self.database),
            **settings,
        }

    def fresh(self) -> None:
        """Create an empty database with all tables, copied from one that is migrated once, and empty Redis."""
        self.services.redis.flushall()
        template = f"made_{self.contender.name.replace('-', '_')}"
        if not self.services.sql("SELECT 1 FROM pg_database WHERE datname = %s", template):
            self._make(template)
        self.services.sql(f"DROP DATABASE IF EXISTS {self.database} WITH (FORCE)")
        self.services.sql(f"CREATE DATABASE {self.database} TEMPLATE {template}")

    def _make(self, template: str) -> None:
        self.services.sql(f"CREATE DATABASE {template}")
        self.manage("migrate", "--verbosity", "0", "--skip-checks", database=template)
        self.services.sql(TABLE, database=template)

    def manage(self, *arguments: str, database: str = "") -> None:
        """Run a management command on its database, or on the named one."""
        environment = {**self.environment, "DATABASE_URL": self.services.postgres.url(database or self.database)}
        with self.log.open("ab") as log:
            subprocess.run([*MANAGE, *arguments], cwd=ROOT, env=environment, check=True, stdout=log, stderr=log)

    def enqueue(self, way: str, prefix: str, count: int) -> Any:
        """Run benchmarks/enqueuing.py and return its output."""
        command = [sys.executable, "-m", "benchmarks.enqueuing", way, prefix, str(count)]
        with self.log.open("ab") as log:
            done = subprocess.run(
                command, cwd=ROOT, env=self.environment, check=True, stdout=subprocess.PIPE, stderr=log
            )
        return json.loads(done.stdout)

    @contextmanager
    def workers(self, commands: tuple[tuple[str, ...], ...] = ()) -> Iterator[Programs]:
        """Run the contender's workers."""
        with Programs(commands or self.contender.commands, self.environment, self.log) as programs:
            yield programs

    def arrived(self, count: int) -> None:
        """Wait until `count` emails have arrived. Raises TimeoutError when no more arrive."""
        seen, at = -1, time.monotonic()
        while (now := self.services.sink.request("count")[0]) < count:
            if now > seen:
                seen, at = now, time.monotonic()
            if time.monotonic() - at > STALL_SECONDS:
                raise TimeoutError(f"{seen} of {count} emails arrived\n{self.log.read_text()[-3000:]}")
            time.sleep(POLL_SECONDS)

    def settled(self) -> None:
        """Wait until the ledger has recorded the end of every job."""
        eventually(lambda: self.services.sql(self.contender.unfinished, database=self.database) == [(0,)])

    def close(self) -> None:
        self.services.sql(f"DROP DATABASE IF EXISTS {self.database} WITH (FORCE)")
