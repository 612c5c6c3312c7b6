"""The processes of a cluster share what the command has loaded. They serve no page, so it loads none."""

import os
import subprocess
import sys

import pytest

from tests.support.site import MANAGE, ROOT
from tests.support.templates import new_database

PAGES = ["notifier.urls", "accounts.views", "accounts.admin", "jobs.admin", "django_q.admin", "allauth.account.views"]
LIBRARIES = ["ninja", "pydantic", "fido2", "redis", "requests", "cryptography"]
LOADED = f"""
import sys
import django
django.setup()
from django.core.management import call_command
from jobs.cluster.supervisor import Supervisor
Supervisor.run = lambda self: print("loaded:", *(name for name in {PAGES + LIBRARIES} if name in sys.modules)) or 0
call_command("qcluster", skip_checks=False)
"""
WRONG = """
import django
django.setup()
from django.conf import settings
settings.Q_CLUSTER["timeout"] = 10**6
from django.core.management import call_command
call_command("qcluster", skip_checks=False)
"""


def run(code: str, tmp_path, **environment: str) -> subprocess.CompletedProcess[str]:
    settings = {"DATABASE_URL": new_database(tmp_path), "VAR_DIR": str(tmp_path), "Q_BROKER": "orm"}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "notifier.settings", **settings, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_no_page_is_loaded_when_the_checks_and_the_preloading_are_done(tmp_path):
    done = run(LOADED, tmp_path)
    assert done.stdout.strip() == "loaded:", done.stderr


def test_a_check_that_fails_stops_the_start(tmp_path):
    done = run(WRONG, tmp_path)
    assert done.returncode == 1
    assert "jobs.E001" in done.stderr
    assert "cluster started" not in done.stderr


@pytest.mark.parametrize("skipped", [[], ["--skip-checks"]])
def test_the_command_still_has_its_options(skipped):
    command = [*MANAGE, "qcluster", *skipped, "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "--skip-checks" in done.stdout
