"""What is missing or wrong in the environment is told at once, in one message, before anything starts."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from dotenv import dotenv_values

from tests.postgres import free_port
from tests.site import MANAGE, ROOT

DOCUMENTED = dict(re.findall(r"^\| `([A-Z_]+)` \| (.+?) \|", Path(ROOT, "docs/settings.md").read_text(), re.MULTILINE))
REQUIRED = {
    "SECRET_KEY": "s" * 50,
    "ALLOWED_HOSTS": "example.mn",
    "SITE_URL": "https://example.mn",
    "SUPPORT_EMAIL": "help@example.mn",
    "EMAIL_HOST": "smtp.example.mn",
    "DEFAULT_FROM_EMAIL": "no-reply@example.mn",
}
WRONG = {
    "DEBUG": "maybe",
    "SECRET_KEY": "",
    "SITE_URL": "example.mn",
    "SUPPORT_EMAIL": "nobody",
    "LANGUAGE_CODE": "de",
    "TIME_ZONE": "Ulaanbaatar",
    "TRUSTED_PROXIES": "everybody",
    "PORT": "70000",
    "WEB_WORKERS": "0",
    "EMAIL_HOST": " ",
    "EMAIL_PORT": "smtp",
    "EMAIL_TIMEOUT": "-1",
    "DEFAULT_FROM_EMAIL": "A name of more than twenty-two letters <a@example.mn>",
    "JOB_MAX_ATTEMPTS": "none",
    "JOB_LEASE_SECONDS": "1",
    "SIGNIN_EMAILS_PER_HOUR": "0",
    "Q_WORKERS": "many",
    "Q_BROKER": "pigeon",
    "API_RATE": "fast",
    "METRICS_TOKEN": "guess",
    "RETENTION_DAYS_PAYLOAD": "0",
    "RETENTION_DAYS_SIGN_INS": "-1",
    "DATABASE_URL": "nosql://somewhere",
    "GITHUB_CLIENT_ID": "without-its-secret",
}
STARTS = {
    "manage.py": [*MANAGE, "check"],
    "the worker": [*MANAGE, "qcluster"],
    "gunicorn": [sys.executable, "-m", "gunicorn", "notifier.wsgi", "-b", f"127.0.0.1:{free_port()}"],
}


def start(command, **environment):
    bare = {"PATH": os.environ["PATH"], "ENV_FILE": os.devnull, "VAR_DIR": os.environ["VAR_DIR"], **environment}
    return subprocess.run(command, cwd=ROOT, env=bare, capture_output=True, text=True, timeout=60)


def value_of(name, **environment):
    code = f"from notifier import settings; print(settings.env._values[{name!r}])"
    done = start([sys.executable, "-c", code], **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("command", STARTS.values(), ids=STARTS)
def test_everything_that_is_wrong_is_named_in_one_message(command):
    done = start(command, **WRONG)
    said = done.stdout + done.stderr
    named = set(re.findall(r"^  ([A-Z_]+): ", said, re.MULTILINE))
    assert done.returncode != 0
    assert named == set(WRONG) - {"GITHUB_CLIENT_ID"} | {"GITHUB_CLIENT_SECRET", "ALLOWED_HOSTS"}
    assert "Traceback" not in said
    assert said.count("missing or wrong") == 1


def test_everything_that_is_missing_is_named_at_once():
    done = start(STARTS["manage.py"])
    assert set(re.findall(r"^  ([A-Z_]+): ", done.stderr, re.MULTILINE)) == set(REQUIRED)


def test_no_secret_is_told_with_what_is_wrong():
    done = start(STARTS["manage.py"], **{**REQUIRED, "SECRET_KEY": "hush-hush", "DATABASE_URL": "x://u:hush-hush@h/d"})
    assert done.returncode != 0
    assert "hush" not in done.stdout + done.stderr


def test_with_debug_nothing_has_to_be_given():
    assert start(STARTS["manage.py"], DEBUG="1").returncode == 0


def test_a_file_is_read_and_the_environment_wins_over_it(tmp_path):
    file = tmp_path / ".env"
    file.write_text('SITE_NAME="Шар хуудас"\nTIME_ZONE=Asia/Hovd\n')
    given = {**REQUIRED, "ENV_FILE": str(file), "TIME_ZONE": "Asia/Choibalsan"}
    assert value_of("SITE_NAME", **given) == "Шар хуудас"
    assert value_of("TIME_ZONE", **given) == "Asia/Choibalsan"


def test_a_file_that_is_named_and_not_there_is_wrong():
    assert "ENV_FILE" in start(STARTS["manage.py"], **{**REQUIRED, "ENV_FILE": "/nowhere"}).stderr


def settings_read():
    from notifier import settings

    return set(settings.env._fields)


def test_every_setting_is_documented_and_nothing_else():
    assert set(DOCUMENTED) == settings_read()


def test_the_documented_defaults_are_the_defaults():
    told = {
        name: default
        for name, default in DOCUMENTED.items()
        if default[0] == "`" and name not in ("VAR_DIR", "ENV_FILE")
    }
    code = f"from notifier import settings; print({{n: str(settings.env._values[n]) for n in {sorted(told)}}})"
    done = start([sys.executable, "-c", code], **REQUIRED)
    assert done.stdout.strip() == str({name: told[name].strip("`") for name in sorted(told)})


def test_the_settings_called_required_are_required():
    assert {name for name, default in DOCUMENTED.items() if default == "required"} == set(REQUIRED)


def test_the_example_file_names_settings_that_exist():
    assert set(dotenv_values(ROOT / ".env.example")) <= settings_read()
