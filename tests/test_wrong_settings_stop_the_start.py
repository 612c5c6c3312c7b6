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
    "ANYMAIL_WEBHOOKS": "pigeon",
    "ANYMAIL_WEBHOOK_SECRET": "user:short",
    "ANYMAIL_MAILGUN_WEBHOOK_SIGNING_KEY": "key",
    "ANYMAIL_MAILGUN_API_URL": "http://api.mailgun.net",
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


ANYMAIL = "anymail.backends.{}.EmailBackend"
SECRET = "hook:" + "s" * 24


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"ANYMAIL_WEBHOOKS": "postmark"}, "ANYMAIL_WEBHOOK_SECRET"),
        ({"ANYMAIL_WEBHOOKS": "mailgun", "ANYMAIL_WEBHOOK_SECRET": SECRET}, "ANYMAIL_MAILGUN_WEBHOOK_SIGNING_KEY"),
        ({"EMAIL_BACKEND": ANYMAIL.format("postmark")}, "ANYMAIL_POSTMARK_SERVER_TOKEN"),
        ({"EMAIL_BACKEND": ANYMAIL.format("mailgun")}, "ANYMAIL_MAILGUN_API_KEY"),
        ({"EMAIL_BACKEND": ANYMAIL.format("brevo")}, "ANYMAIL_BREVO_API_KEY"),
        ({"EMAIL_BACKEND": ANYMAIL.format("pigeon")}, "EMAIL_BACKEND"),
    ],
)
def test_a_mail_service_without_its_keys_and_a_webhook_that_anybody_could_post_to_stop_the_start(given, named):
    done = start(STARTS["manage.py"], **{**REQUIRED, **given})
    assert done.returncode != 0
    assert re.findall(r"^  ([A-Z_]+): ", done.stderr, re.MULTILINE) == [named]


@pytest.mark.parametrize("name", ["postmark", "mailgun", "brevo", "amazon_ses"])
def test_a_mail_service_with_its_keys_starts(name):
    keys = {"ANYMAIL_POSTMARK_SERVER_TOKEN": "t", "ANYMAIL_MAILGUN_API_KEY": "k", "ANYMAIL_BREVO_API_KEY": "k"}
    keys |= {"ANYMAIL_WEBHOOK_SECRET": f"{SECRET},{SECRET}2", "ANYMAIL_MAILGUN_WEBHOOK_SIGNING_KEY": "k" * 16}
    given = {**REQUIRED, **keys, "EMAIL_BACKEND": ANYMAIL.format(name), "ANYMAIL_WEBHOOKS": name}
    done = start([*MANAGE, "check"], **given)
    assert done.returncode == 0, done.stderr
    code = "from django.core.mail import get_connection; print(get_connection().esp_name)"
    assert start([*MANAGE, "shell", "-v0", "-c", code], **given).stdout.strip()


@pytest.mark.parametrize(
    ("missing", "given", "said"),
    [
        ("anymail", {"EMAIL_BACKEND": ANYMAIL.format("amazon_ses")}, "requirements-anymail.txt"),
        ("anymail", {"ANYMAIL_WEBHOOKS": "postmark", "ANYMAIL_WEBHOOK_SECRET": SECRET}, "requirements-anymail.txt"),
        ("boto3", {"EMAIL_BACKEND": ANYMAIL.format("amazon_ses")}, "requirements-sqs.txt"),
        ("boto3", {"Q_BROKER": "sqs"}, "requirements-sqs.txt"),
        ("anymail", {}, ""),
    ],
)
def test_a_package_that_is_not_there_is_named_with_what_to_type_and_missed_by_nobody_else(missing, given, said):
    hidden = (
        "import importlib.util as u, os, sys; find = u.find_spec; "
        f"u.find_spec = lambda name, *a: None if name == {missing!r} else find(name, *a); "
        f"sys.modules[{missing!r}] = None; os.environ['DJANGO_SETTINGS_MODULE'] = 'notifier.settings'; "
        "import django; django.setup(); import notifier.urls"
    )
    done = start([sys.executable, "-c", hidden], **{**REQUIRED, **given})
    assert (done.returncode != 0) == bool(said), done.stderr
    assert said in done.stderr


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
