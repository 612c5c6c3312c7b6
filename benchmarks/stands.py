"""One contender's stand for one round: a fresh database, its environment, its workers, and what they are put to."""

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

STALL_SECONDS = 60.0  # without a mail: it is not going to come
LOOK_SECONDS = 0.02


class Stand:
    """What a contender has for itself. settings: environment variables over the usual ones."""

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
        """An empty database with all its tables, copied from one that is migrated the first time; an empty Redis."""
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
        """Runs a management command, in its database if no other is named."""
        environment = {**self.environment, "DATABASE_URL": self.services.postgres.url(database or self.database)}
        with self.log.open("ab") as log:
            subprocess.run([*MANAGE, *arguments], cwd=ROOT, env=environment, check=True, stdout=log, stderr=log)

    def enqueue(self, way: str, prefix: str, count: int) -> Any:
        """What benchmarks/enqueuing.py prints."""
        command = [sys.executable, "-m", "benchmarks.enqueuing", way, prefix, str(count)]
        with self.log.open("ab") as log:
            told = subprocess.run(
                command, cwd=ROOT, env=self.environment, check=True, stdout=subprocess.PIPE, stderr=log
            )
        return json.loads(told.stdout)

    @contextmanager
    def workers(self, commands: tuple[tuple[str, ...], ...] = ()) -> Iterator[Programs]:
        """Its workers, running."""
        with Programs(commands or self.contender.commands, self.environment, self.log) as programs:
            yield programs

    def arrived(self, count: int) -> None:
        """Returns when `count` mails have come. TimeoutError when none comes any more."""
        seen, at = -1, time.monotonic()
        while (now := self.services.sink.ask("count")[0]) < count:
            if now > seen:
                seen, at = now, time.monotonic()
            if time.monotonic() - at > STALL_SECONDS:
                raise TimeoutError(f"{seen} of {count} mails came\n{self.log.read_text()[-3000:]}")
            time.sleep(LOOK_SECONDS)

    def settled(self) -> None:
        """Returns when the ledger has seen the end of every job."""
        eventually(lambda: self.services.sql(self.contender.unfinished, database=self.database) == [(0,)])

    def close(self) -> None:
        self.services.sql(f"DROP DATABASE IF EXISTS {self.database} WITH (FORCE)")
