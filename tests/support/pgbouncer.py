"""A real PgBouncer with the shipped configuration, in front of a database of the tests."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from tests.support.debian import Unpacked
from tests.support.machine import HERE, eventually
from tests.support.ports import free_port
from tests.support.postgres import die_with_parent
from tests.support.site import ROOT

SHIPPED = ROOT / "deploy/pgbouncer/pgbouncer.ini"


@contextmanager
def running(database_url: str, **settings: str) -> Iterator[dict[str, str]]:
    """Start PgBouncer; give the DATABASE_URL of each pool, by its mode. settings: those that differ."""
    bouncer = Unpacked("pgbouncer", "pgbouncer", "libc-ares2", "libevent-2.1-7")
    database, port = urlsplit(database_url), free_port()
    with tempfile.TemporaryDirectory(prefix="bouncer-", dir="/tmp") as place:
        folder = Path(place)
        (folder / "users").write_text(f'"{database.username}" "{database.password or ""}"\n')
        log = folder / "pgbouncer.log"
        changed = {
            "listen_port": str(port),
            "unix_socket_dir": "",
            "auth_type": "trust",
            "auth_file": str(folder / "users"),
            "pidfile": str(folder / "pid"),
            "logfile": str(log),
        }
        (folder / "pgbouncer.ini").write_text(_configuration(database, changed | settings))
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, "nobody")  # words: allow (the Unix user)
        identity = {"user": "nobody", "extra_groups": []} if os.geteuid() == 0 else {}  # words: allow
        process = subprocess.Popen(
            [bouncer.program, folder / "pgbouncer.ini"],
            env=bouncer.environment,
            stderr=subprocess.DEVNULL,
            preexec_fn=lambda: die_with_parent(),
            **identity,
        )
        try:
            eventually(lambda: log.exists() and "process up" in log.read_text())
            yield {mode: _url(database, port, name) for mode, name in _pools().items()}
        finally:
            process.terminate()
            process.wait(10)


def _pools() -> dict[str, str]:
    """The name of the shipped pool of each mode."""
    return {mode: name for name, mode in re.findall(r"^(\w+) = .*pool_mode=(\w+)", SHIPPED.read_text(), re.MULTILINE)}


def _configuration(database, settings: dict[str, str]) -> str:
    """The shipped configuration, with the place of the database and the settings replaced."""
    text = SHIPPED.read_text()
    where = f"host={database.hostname} port={database.port} dbname={database.path[1:]} user={database.username}"
    text = re.sub(r"host=\S+ port=\S+ dbname=\S+", where, text)
    for name, value in settings.items():
        text = re.sub(rf"^{name} = .*\n", "", text, flags=re.MULTILINE) + f"{name} = {value}\n"
    return text


def _url(database, port: int, name: str) -> str:
    return urlunsplit(database._replace(netloc=f"{database.username}@{HERE}:{port}", path=f"/{name}"))
