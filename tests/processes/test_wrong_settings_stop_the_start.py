"""What is missing or wrong in the environment is reported immediately, in one message, before anything starts."""

import json
import os
import re
import subprocess
import sys
import urllib.parse
from pathlib import Path

import pytest
from django.core.management import CommandError
from dotenv import dotenv_values

from notifier.management.commands import run
from tests.support.ports import free_port
from tests.support.site import MANAGE, ROOT

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
    "SECRET_KEY_FALLBACKS": "former,,older",
    "ENCRYPTION_KEY": "short",
    "ENCRYPTION_KEY_FALLBACKS": " ,former",
    "STAFF_MFA": "perhaps",
    "STAFF_MFA_HOURS": "0",
    "SITE_URL": "example.mn",
    "SUPPORT_EMAIL": "no-address",
    "LANGUAGES": "mn,en,klingon",
    "LANGUAGE_CODE": "de",
    "SITE_NAMES": "Шар хуудас",
    "LOCALE_DIR": "/etc/hostname",
    "MAIL_TEMPLATES_DIR": "/nowhere",
    "TIME_ZONE": "Ulaanbaatar",
    "TRUSTED_PROXIES": "anywhere",
    "HOST": "0.0.0.0:80",
    "PORT": "70000",
    "WEB_WORKERS": "0",
    "EMAIL_HOST": "smtp..x",
    "EMAIL_HOST_USER": "бат",
    "EMAIL_HOST_PASSWORD": "нууц",
    "EMAIL_CA_FILE": "/etc/hostname",
    "EMAIL_PORT": "smtp",
    "EMAIL_USE_TLS": "perhaps",
    "EMAIL_EHLO_NAME": "two words",
    "HSTS_PRELOAD": "1",
    "EMAIL_TIMEOUT": "-1",
    "EMAIL_FALLBACK_URL": "https://smtp.example.mn",
    "DEFAULT_FROM_EMAIL": "A name of more than twenty-two letters <a@example.mn>",
    "JOB_MAX_ATTEMPTS": "none",
    "JOB_LEASE_SECONDS": "1",
    "SIGNIN_EMAILS_PER_HOUR": "0",
    "Q_WORKERS": "many",
    "Q_BROKER": "pigeon",
    "API_RATE": "fast",
    "METRICS_TOKEN": "guess",
    "ALERT_TO": "ops@example.mn,second",
    "ALERT_WEBHOOK": "ftp://hooks.example.mn/alerts",
    "HEARTBEAT_URL": "https://user:password@monitor.example.mn/",
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


@pytest.mark.parametrize("host", [" ", "smtp..x", "smtp.example.mn:587", "smtp://example.mn", "a b", "-x.mn", "x" * 64])
def test_a_mail_server_that_cannot_be_one_is_refused(host):
    assert "EMAIL_HOST: " in start(STARTS["manage.py"], **{**REQUIRED, "EMAIL_HOST": host}).stderr


@pytest.mark.parametrize("host", ["mail", "mail_server", "a.mn.", "192.0.2.1", "[2001:db8::1]", "шуудан.мон"])
def test_a_mail_server_that_may_be_one_is_taken(host):
    assert start(STARTS["manage.py"], **{**REQUIRED, "EMAIL_HOST": host}).returncode == 0


def test_a_language_starts_with_its_catalogue_and_is_the_first_choice_without_another(tmp_path):
    languages = {"LANGUAGES": " kk, en", "LOCALE_DIR": str(ROOT / "tests/data/locale")}
    code = "from django.conf import settings; print(settings.LANGUAGE_CODE, settings.LANGUAGES)"
    done = start([sys.executable, *MANAGE[1:], "shell", "-c", code], **{**REQUIRED, **languages})
    assert "kk [('kk', 'Қазақ тілі'), ('en', 'English')]" in done.stdout, done.stderr
    said = start(STARTS["manage.py"], **{**REQUIRED, "LANGUAGES": "kk,en"}).stderr
    assert "LANGUAGES: kk has no catalogue: set LOCALE_DIR to a folder with kk/LC_MESSAGES/django.mo" in said


@pytest.mark.parametrize("name", ["manage.py", "the worker"])
def test_a_broken_email_template_stops_the_worker_and_its_fault_is_named(name, tmp_path):
    (tmp_path / "emails").mkdir()
    (tmp_path / "emails" / "frame.html").write_text("{% price %}")
    done = start(STARTS[name], **{**REQUIRED, "MAIL_TEMPLATES_DIR": str(tmp_path)})
    assert done.returncode != 0
    assert "(notifier.E005) emails/frame.html: Invalid block tag on line 1: 'price'" in done.stdout + done.stderr


@pytest.mark.parametrize("password", ["нууц", "pass\u00a0word", "a\tb"])
def test_a_password_that_smtp_cannot_carry_is_refused_and_not_repeated(password):
    said = start(STARTS["manage.py"], **{**REQUIRED, "EMAIL_HOST_PASSWORD": password}).stderr
    assert "EMAIL_HOST_PASSWORD: has characters other than ASCII" in said
    assert password not in said


def test_the_file_backend_gets_its_folder_from_the_environment(tmp_path):
    backend = "django.core.mail.backends.filebased.EmailBackend"
    environment = {**REQUIRED, "EMAIL_BACKEND": backend, "EMAIL_FILE_PATH": str(tmp_path)}
    done = start([*MANAGE, "sendtestemail", "bat@example.mn"], **environment)
    assert done.returncode == 0, done.stderr
    (file,) = tmp_path.iterdir()
    assert "To: bat@example.mn" in file.read_text()


def test_everything_that_is_missing_is_named_together():
    done = start(STARTS["manage.py"])
    assert set(re.findall(r"^  ([A-Z_]+): ", done.stderr, re.MULTILINE)) == set(REQUIRED)


def test_no_secret_is_printed_with_what_is_wrong():
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
def test_a_package_that_is_not_there_is_named_with_what_to_type_and_missed_by_no_other_user(missing, given, said):
    hidden = (
        "import importlib.util as u, os, sys; find = u.find_spec; "
        f"u.find_spec = lambda name, *a: None if name == {missing!r} else find(name, *a); "
        f"sys.modules[{missing!r}] = None; os.environ['DJANGO_SETTINGS_MODULE'] = 'notifier.settings'; "
        "import django; django.setup(); import notifier.urls"
    )
    done = start([sys.executable, "-c", hidden], **{**REQUIRED, **given})
    assert (done.returncode != 0) == bool(said), done.stderr
    assert said in done.stderr


def derived(names, **environment):
    """Settings that the site has with this environment."""
    code = f"import json; from notifier import settings; print(json.dumps([getattr(settings, n) for n in {names!r}]))"
    done = start([sys.executable, "-c", code], **environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("password", ["pa#ss", "pa/ss", "pa?ss", "pa[ss", "pa]ss", "pa@b/ss", "pa?a@b", "100%", "%zz"])
def test_a_password_that_must_be_percent_encoded_is_refused_with_how_to_write_it(password):
    done = start(STARTS["manage.py"], **{**REQUIRED, "DATABASE_URL": f"postgres://u:{password}@db:5432/notifier"})
    assert done.returncode != 0
    assert re.findall(r"^  ([A-Z_]+): ", done.stderr, re.MULTILINE) == ["DATABASE_URL"]
    character = next(character for character in password if character in "#/?[]%")
    assert f"{character} as {urllib.parse.quote(character, safe='')}" in done.stderr
    assert password not in done.stderr


def test_a_percent_encoded_password_and_options_with_an_at_sign_are_read():
    url = f"postgres://u:{urllib.parse.quote('p#/?[]@%', safe='')}@db:5432/notifier?options=-csearch_path=a@b"
    database = derived(["DATABASES"], **REQUIRED, DATABASE_URL=url)[0]["default"]
    assert (database["PASSWORD"], database["HOST"], database["NAME"]) == ("p#/?[]@%", "db", "notifier")
    assert database["OPTIONS"]["options"] == "-csearch_path=a@b"
    without = derived(["DATABASES"], **REQUIRED, DATABASE_URL="postgres://db:5432/notifier?user=u@v")[0]["default"]
    assert (without["HOST"], without["OPTIONS"]["user"]) == ("db", "u@v")


def test_another_database_is_refused_with_the_ones_that_are_supported():
    done = start(STARTS["manage.py"], **{**REQUIRED, "DATABASE_URL": "mysql://u:hush@db:3306/notifier"})
    assert "only PostgreSQL and SQLite are supported" in done.stderr
    assert "hush" not in done.stderr


def test_pgbouncer_is_understood():
    url = "postgres://u:p@db:6432/notifier?pgbouncer=true&sslmode=require"
    database = derived(["DATABASES"], **REQUIRED, DATABASE_URL=url)[0]["default"]
    assert database["DISABLE_SERVER_SIDE_CURSORS"] is True
    assert "pgbouncer" not in database["OPTIONS"]
    assert database["OPTIONS"]["sslmode"] == "require"


def test_an_empty_flag_is_off():
    empty = dict.fromkeys(["DEBUG", "EMAIL_USE_TLS", "HSTS_PRELOAD"], "")
    debug, preload, mailers = derived(["DEBUG", "SECURE_HSTS_PRELOAD", "MAILERS"], **REQUIRED, **empty)
    assert (debug, preload, mailers["default"]["OPTIONS"]["use_tls"]) == (False, False, False)


def test_hsts_binds_subdomains_only_when_it_is_set():
    names = ["SECURE_HSTS_SECONDS", "SECURE_HSTS_INCLUDE_SUBDOMAINS", "SECURE_HSTS_PRELOAD"]
    assert derived(names, **REQUIRED) == [31_536_000, False, False]
    assert derived(names, **REQUIRED, HSTS_INCLUDE_SUBDOMAINS="1", HSTS_PRELOAD="1") == [31_536_000, True, True]
    done = start([*MANAGE, "check", "--deploy", "--fail-level", "WARNING"], **REQUIRED, TRUSTED_PROXIES="10.0.0.0/8")
    assert "security.W005" not in done.stderr
    assert "security.W021" not in done.stderr


def test_two_sites_on_one_host_have_cookies_of_their_own():
    names = ["SESSION_COOKIE_NAME", "CSRF_COOKIE_NAME", "LANGUAGE_COOKIE_NAME", "DEVICE_COOKIE_NAME"]
    urls = ["http://localhost:8000", "http://localhost:8123", "http://localhost", "https://localhost:8443"]
    sites = [derived(names, **{**REQUIRED, "SITE_URL": url}) for url in [*urls, REQUIRED["SITE_URL"]]]
    cookies = [cookie for site in sites for cookie in site]
    assert len(set(cookies)) == len(cookies)
    assert all(cookie.startswith("__Host-") for cookie in sites[-1] + sites[-2])
    secure = ["SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "LANGUAGE_COOKIE_SECURE"]
    assert derived(secure, **REQUIRED) == [True, True, True]


def test_the_name_in_ehlo_is_the_sites_host_or_the_one_that_is_given():
    assert derived(["EMAIL_EHLO_NAME"], **REQUIRED) == ["example.mn"]
    assert derived(["EMAIL_EHLO_NAME"], **{**REQUIRED, "SITE_URL": "http://192.0.2.1:8000"}) == ["[192.0.2.1]"]
    assert derived(["EMAIL_EHLO_NAME"], **REQUIRED, EMAIL_EHLO_NAME="mx.example.mn") == ["mx.example.mn"]


@pytest.mark.parametrize(("host", "bound"), [("0.0.0.0", "0.0.0.0:8123"), ("::", "[::]:8123"), ("", "127.0.0.1:8123")])
def test_gunicorn_listens_at_host_and_port(host, bound):
    given = {**REQUIRED, "PORT": "8123"} | ({"HOST": host} if host else {})
    done = start([sys.executable, "-m", "gunicorn", "notifier.wsgi", "--print-config"], **given)
    assert re.search(r"^bind\s*= \['(.+)'\]", done.stdout, re.MULTILINE)[1] == bound, done.stdout[:500] + done.stderr


def test_the_file_that_make_run_writes_is_enough_for_every_command_and_is_never_overwritten(tmp_path):
    file = tmp_path / ".env"
    run.write_env_file(file)
    assert file.stat().st_mode & 0o077 == 0
    assert start([*MANAGE, "check"], ENV_FILE=str(file)).returncode == 0
    assert start([*MANAGE, "jobs", "--help"], ENV_FILE=str(file)).returncode == 0
    file.write_text("SITE_NAME=Mine\n")
    run.write_env_file(file)
    assert file.read_text() == "SITE_NAME=Mine\n"


def test_make_run_writes_that_file_unless_another_one_is_named(tmp_path, monkeypatch, settings):
    def stop(*_: object, **__: object) -> None:
        raise CommandError

    settings.DEBUG, settings.BASE_DIR = True, tmp_path
    monkeypatch.setattr(run, "refuse_if_taken", lambda _port: None)
    monkeypatch.setattr(run, "call_command", stop)
    for written in (False, True):
        with pytest.raises(CommandError):
            run.Command().handle(reload=False)
        assert (tmp_path / ".env").exists() == written
        monkeypatch.delenv("ENV_FILE", raising=False)


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
    documented = {
        name: default
        for name, default in DOCUMENTED.items()
        if default[0] == "`" and name not in ("VAR_DIR", "ENV_FILE")
    }
    code = f"from notifier import settings; print({{n: str(settings.env._values[n]) for n in {sorted(documented)}}})"
    done = start([sys.executable, "-c", code], **REQUIRED)
    assert done.stdout.strip() == str({name: documented[name].strip("`") for name in sorted(documented)})


def test_the_settings_called_required_are_required():
    assert {name for name, default in DOCUMENTED.items() if default == "required"} == set(REQUIRED)


def test_the_example_file_names_settings_that_exist():
    assert set(dotenv_values(ROOT / ".env.example")) <= settings_read()
