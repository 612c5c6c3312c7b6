"""pytest plugin (loaded with -p before Django's settings are): the environment every test runs in, and its database.

The database is DATABASE_URL; without one a PostgreSQL server is started for this run. TEST_ENGINE=sqlite: a file.
"""

import atexit
import os
import shutil
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.support.postgres import Postgres

os.environ.update(
    SECRET_KEY="tests-only-" + "x" * 50,
    ALLOWED_HOSTS="testserver,localhost,127.0.0.1",
    SITE_URL="http://testserver",
    SUPPORT_EMAIL="help@example.mn",
    DEFAULT_FROM_EMAIL="Yellow Books <no-reply@example.mn>",
    EMAIL_HOST="127.0.0.1",
    EMAIL_PORT="9",
    DEBUG="0",
    STAFF_MFA="optional",  # tests/database/test_staff_need_a_second_factor.py requires it
    ENV_FILE=os.devnull,  # a developer's .env is not for the tests
)
OWNER = os.getpid()


def _prepare() -> None:
    """A folder and a database for this run; xdist's workers inherit what their controller made."""
    if "NOTIFIER_TESTS" in os.environ:
        return
    folder = tempfile.mkdtemp(prefix="notifier-tests-")
    _at_exit(lambda: shutil.rmtree(folder, ignore_errors=True))
    os.environ.update(NOTIFIER_TESTS=folder, VAR_DIR=str(Path(folder, "var")))
    Path(folder, "var", "static").mkdir(parents=True)
    if os.environ.get("TEST_ENGINE") == "sqlite":
        os.environ["DATABASE_URL"] = f"sqlite:///{folder}/notifier.sqlite3"
    elif "DATABASE_URL" not in os.environ:
        server = Postgres()
        _at_exit(server.remove)
        server.start()
        os.environ["DATABASE_URL"] = server.url("notifier")
    else:
        _at_exit(_drop_template)


def _drop_template() -> None:
    """Drop the migrated database of this run at a server that stays."""
    from tests.support import templates

    templates.drop_database(templates.url_of(templates.DATABASE))


def _at_exit(clean: Callable[[], object]) -> None:
    """Has `clean` called when this process ends, and not when one that was forked from it does."""
    atexit.register(lambda: clean() if os.getpid() == OWNER else None)


def _terminated(_signum: int, _frame: object) -> None:
    """SIGTERM ends the run as Ctrl-C does, so that nothing stays behind."""
    if os.getpid() != OWNER:
        os._exit(128 + signal.SIGTERM)
    raise KeyboardInterrupt


signal.signal(signal.SIGTERM, _terminated)
_prepare()
