"""Unusual machines and settings: each works, or the start is refused with a message that says why."""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from django.test import override_settings

from notifier import checks
from notifier import settings as site_settings
from notifier.environment.secret_files import SECRETS
from tests.processes.test_wrong_settings_stop_the_start import REQUIRED, STARTS, start, value_of
from tests.support.machine import eventually
from tests.support.ports import free_port
from tests.support.site import ROOT, Site

ASK = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:{port}/healthz', timeout=5).status)"
SERVE = """
"{python}" -m gunicorn notifier.wsgi & web=$!
for _ in $(seq 100); do sleep 0.3; "{python}" -c "{ask}" 2>/dev/null && break; done
kill $web; wait $web
"""


def serve(prefix: list[str], before: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run gunicorn below `prefix` until /healthz answers; print its status."""
    port = free_port()
    script = before + SERVE.format(python=sys.executable, ask=ASK.format(port=port))
    given = {"PATH": os.environ["PATH"], "ENV_FILE": os.devnull, **REQUIRED, "PORT": str(port), **environment}
    command = [*prefix, "sh", "-c", script]
    return subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, timeout=90)


def may(*command: str) -> bool:
    return subprocess.run([*command, "true"], capture_output=True).returncode == 0


@pytest.mark.skipif(not may("unshare", "--mount"), reason="no mount namespace may be made here")
def test_the_site_runs_on_a_read_only_file_system(tmp_path):
    read_only = f"mount --bind {ROOT} {ROOT} && mount -o remount,bind,ro {ROOT} && ! touch {ROOT}/x 2>&1 && cd {ROOT}\n"
    done = serve(["unshare", "--mount"], read_only, DATABASE_URL="postgres://u@127.0.0.1:1/none", VAR_DIR="/nowhere")
    assert "Read-only file system" in done.stdout
    assert "\n200\n" in done.stdout, done.stderr


@pytest.mark.skipif(not may("unshare", "--mount"), reason="no mount namespace may be made here")
def test_sqlite_on_a_read_only_file_system_is_refused():
    script = f"mount --bind {ROOT} {ROOT} && mount -o remount,bind,ro {ROOT} && cd {ROOT} && $0 manage.py check"
    given = {"PATH": os.environ["PATH"], "ENV_FILE": os.devnull, **REQUIRED, "VAR_DIR": str(ROOT / "no-such-folder")}
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, sys.executable], env=given, capture_output=True, text=True
    )
    assert "VAR_DIR: cannot be created" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not may("unshare", "--net"), reason="no network namespace may be made here")
def test_the_site_starts_without_a_network(tmp_path):
    up = "import fcntl, socket, struct; fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sh14x', b'lo', 1))"
    done = serve(["unshare", "--net"], f'"{sys.executable}" -c "{up}"\n', VAR_DIR=str(tmp_path))
    assert done.stdout.strip() == "200", done.stderr


AS_ANOTHER_USER = """
import os, django
os.environ["DJANGO_SETTINGS_MODULE"] = "notifier.settings"
django.setup()
from django.core.management import call_command
from notifier import urls  # its modules, which another user may not be able to read
os.setgroups([]), os.setgid(65534), os.setuid(65534)
call_command("migrate", verbosity=0)
call_command("check")
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root may become another user")
def test_the_site_runs_as_another_user_than_root_whose_folder_it_is():
    """The interpreter of a test machine may be root's alone, so the user changes after Python has started."""
    with TemporaryDirectory(dir="/tmp") as folder:
        os.chown(folder, 65534, 65534)
        done = start([sys.executable, "-c", AS_ANOTHER_USER], **{**REQUIRED, "VAR_DIR": folder})
        assert done.returncode == 0, done.stderr
        assert Path(folder, "notifier.sqlite3").stat().st_uid == 65534


@pytest.mark.parametrize("command", STARTS.values(), ids=STARTS)
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"FORCE_SCRIPT_NAME": "/notifier"}, "FORCE_SCRIPT_NAME: is not supported"),
        ({"SCRIPT_NAME": "/notifier"}, "SCRIPT_NAME: is not supported"),
        ({"USE_TZ": "False"}, "USE_TZ: is not supported"),
        ({"DATABASE_URL": "mysql://u:p@db/notifier"}, "DATABASE_URL: only PostgreSQL and SQLite are supported"),
        ({"SECRET_KEY_FILE": "/dev/null"}, "SECRET_KEY and SECRET_KEY_FILE are both given"),
    ],
    ids=["sub-path", "sub-path of gunicorn", "local times", "MySQL", "a secret twice"],
)
def test_what_is_not_supported_is_refused_at_every_start(command, given, said):
    done = start(command, **{**REQUIRED, **given})
    assert done.returncode != 0
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_an_asgi_server_is_refused():
    done = start([sys.executable, "-c", "import notifier.asgi"], **REQUIRED)
    assert done.returncode == 1
    assert done.stderr.strip().endswith("Start it with: gunicorn notifier.wsgi")


class Replica:
    """A router that reads from a second database."""

    def db_for_read(self, model, **_hints):
        return "replica"


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"USE_TZ": False}, "USE_TZ"),
        ({"FORCE_SCRIPT_NAME": "/notifier"}, "FORCE_SCRIPT_NAME"),
        ({"ASGI_APPLICATION": "notifier.asgi.application"}, "ASGI_APPLICATION"),
        ({"DATABASE_ROUTERS": ["tests.processes.test_the_machine_of_a_deployment.Replica"]}, "DATABASE_ROUTERS"),
        ({}, None),
    ],
)
def test_the_same_in_changed_settings_is_refused_by_the_checks(changed, named):
    with override_settings(**changed):
        assert [error.msg.split()[0] for error in checks.check_unsupported(None)] == ([named] if named else [])


def test_a_secret_comes_from_a_file_and_a_line_break_at_its_end_does_not_count(tmp_path):
    (tmp_path / "key").write_text("s" * 60 + "\n")
    given = {name: value for name, value in REQUIRED.items() if name != "SECRET_KEY"}
    assert value_of("SECRET_KEY", **given, SECRET_KEY_FILE=str(tmp_path / "key")) == "s" * 60


def test_every_setting_that_may_come_from_a_file_exists():
    assert set(site_settings.env._fields) >= SECRETS


@pytest.mark.parametrize(
    ("content", "said"), [(None, "cannot be read: No such file"), ("\n", "is empty"), (b"\xff", "it is not text")]
)
@pytest.mark.parametrize("name", ["SECRET_KEY", "DATABASE_URL", "METRICS_TOKEN"])
def test_a_file_without_a_secret_is_refused_with_its_name_and_nothing_else(tmp_path, content, said, name):
    file = tmp_path / "file"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    given = {key: value for key, value in REQUIRED.items() if key != name}
    done = start(STARTS["manage.py"], **given, **{f"{name}_FILE": str(file)})
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("  ")]
    assert line.startswith(f"  {name}: {name}_FILE: the file")
    assert said in line


def test_every_table_may_be_in_a_schema_of_its_own(own_postgres):
    own_postgres.execute("CREATE DATABASE apart ENCODING 'UTF8' TEMPLATE template0")
    own_postgres.execute("CREATE SCHEMA notifier", database="apart")
    with Site(DATABASE_URL=own_postgres.url("apart") + "?options=-csearch_path%3Dnotifier") as site:
        site.manage("migrate", "-v0")
        code = (
            "from jobs.queue.enqueue import enqueue; from jobs.core.job import JobLog\n"
            "job = enqueue('event', {}, job_id='a', user_id='1'); print(JobLog.objects.claim_many([(job.pk, 1)], 'w'))"
        )
        assert "[<JobLog: a>]" in site.manage("shell", "-v0", "-c", code)
        site.start("web", "worker")
        assert [*site.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")] == [(0,)]
        assert site.get("/readyz")[0] == 200


def test_a_worker_gives_signs_of_life_while_it_runs(tmp_path):
    file = tmp_path / "alive"
    with Site(WORKER_ALIVE_FILE=str(file)) as site:
        site.manage("migrate", "-v0")
        site.start("worker")
        assert eventually(file.exists)
        first = file.read_text()
        assert eventually(lambda: file.read_text() not in ("", first))
