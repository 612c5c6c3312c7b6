"""The upgrade from version 0.9.0, with jobs of every status waiting: `make upgrade-test`.

    python -m tests.upgrade [--engine postgresql|sqlite]

Version 0.9.0 runs from a clone with its own packages (tests/upgrade/versions.py says which commit that is). It makes
users, sessions, sign-ins, a key of the API, and jobs: completed, discarded, dead letters, one that failed and waits,
one whose worker was killed, ones that nothing has fetched, and one whose message was lost. Then this checkout
migrates the database and takes over. Exit code 1, with what is wrong, when a row is lost, an email is not sent or
sent twice, or a session, a link or a key of before does not work.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import tests.support.environment  # noqa: F401  (starts a PostgreSQL when DATABASE_URL names none)
from tests.support.machine import HERE
from tests.support.ports import free_port
from tests.support.smtp_server import SmtpServer
from tests.support.templates import drop_database, execute, url_of
from tests.upgrade.after import After
from tests.upgrade.before import Before
from tests.upgrade.compare import what_is_lost
from tests.upgrade.versions import FIRST, new_version, old_version


def main() -> int:
    """Run the upgrade once; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=["postgresql", "sqlite"], default="postgresql")
    engine = parser.parse_args().engine
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="upgrade-", dir=os.environ["NOTIFIER_TESTS"]) as folder:
        smtp = SmtpServer()
        smtp.start()
        environment = make_environment(Path(folder), engine, smtp)
        try:
            wrong = upgrade(Path(folder), environment, smtp)
        finally:
            smtp.stop()
            drop_database(environment["DATABASE_URL"])
    for line in wrong:
        say(f"WRONG: {line}")
    say(f"{'failed' if wrong else 'nothing lost, nothing sent twice'}: {time.monotonic() - began:.0f} s")
    return 1 if wrong else 0


def make_environment(folder: Path, engine: str, smtp: SmtpServer) -> dict[str, str]:
    """Return the environment of both versions, with a new, empty database."""
    url, port = f"sqlite:///{folder}/notifier.sqlite3", free_port()
    if engine == "postgresql":
        name = folder.name.lower().replace("-", "_")
        execute(f'CREATE DATABASE "{name}"')
        url = url_of(name)
    return {
        **os.environ,
        "DATABASE_URL": url,
        "VAR_DIR": str(folder),
        "PORT": str(port),
        "SITE_URL": f"http://{HERE}:{port}",
        "EMAIL_PORT": str(smtp.port),
        "JOB_BACKOFF_SECONDS": "3600",  # the job that failed waits until the upgrade is over
        "EMAIL_TIMEOUT": "25",  # the job whose server is silent runs until its worker is killed
        "LANGUAGE_CODE": "en",
        "PYTHONUNBUFFERED": "1",
    }


def upgrade(folder: Path, environment: dict[str, str], smtp: SmtpServer) -> list[str]:
    """Make the database of 0.9.0, upgrade it and use it; return what is wrong."""
    say("version 0.9.0: its packages and its database")
    old, new = old_version(folder, environment), new_version(environment)
    try:
        before = Before(old, smtp)
        before.fill()
        say(f"jobs of 0.9.0: {before.statuses()}")
        for app in FIRST:
            old.manage("migrate", app, "0001_initial", "--verbosity", "0")
        rows = old.inside("rows")
        say("this version: migrations, web, worker")
        new.manage("migrate", "--verbosity", "0")
        new.manage("collectstatic", "--noinput", "--verbosity", "0")
        wrong = what_is_lost(rows, new.inside("rows"))
        before.go_on()
        smtp.behave()
        new.start_web()
        new.start_worker()
        return wrong + After(new, before, smtp).check(say)
    finally:
        old.stop()
        new.stop()


def say(text: str) -> None:
    """Print a line with the time."""
    print(time.strftime("%H:%M:%S", time.gmtime()), text, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
