"""MAILERS: each backend gets the options that it knows, and Django before 6.1 the settings that it knows."""

import django
import pytest
from django.conf import settings as site_settings

from accounts.mail.providers.configured import configured
from notifier.mail_services import SMTP, mailers

LOGIN = {"username": "bat", "password": "secret", "use_tls": True, "use_ssl": False}
SERVER = {"host": "smtp.example.mn", "port": 587, **LOGIN, "timeout": 10}
SECOND = {"host": "b.mn", "port": 25, "username": "", "password": "", "use_tls": False, "use_ssl": False}
OLD = ["BACKEND", "FILE_PATH", "HOST", "PORT", "HOST_USER", "HOST_PASSWORD", "USE_TLS", "USE_SSL", "TIMEOUT"]


@pytest.mark.parametrize(
    ("backend", "options"),
    [
        (SMTP, SERVER),
        ("some.where.OwnBackend", SERVER),
        ("django.core.mail.backends.filebased.EmailBackend", {"file_path": "/mails"}),
        ("django.core.mail.backends.console.EmailBackend", {}),
        ("anymail.backends.postmark.EmailBackend", {}),
    ],
)
def test_a_backend_gets_the_options_that_it_knows(backend, options):
    assert mailers(backend, SERVER, "/mails", {}) == {"default": {"BACKEND": backend, "OPTIONS": options}}


def test_without_a_host_smtp_goes_to_this_machine_and_another_class_gets_no_server():
    without = {**SERVER, "host": ""}
    assert mailers(SMTP, without, None, {})["default"]["OPTIONS"]["host"] == "127.0.0.1"
    assert mailers("some.where.OwnBackend", without, None, {})["default"]["OPTIONS"] == {}


def test_the_second_server_has_the_patience_of_the_first(settings):
    settings.MAILERS = mailers(SMTP, SERVER, None, SECOND)
    first, second = configured()
    assert (first.name, first.username, first.use_tls) == ("smtp.example.mn:587", "bat", True)
    assert (second.name, second.alias, second.username, second.timeout) == ("b.mn:25", "fallback", "", 10)


def test_each_django_has_the_settings_that_it_reads():
    """Newer versions refuse the old names next to MAILERS: the site would not start."""
    given = {name for name in OLD if site_settings.is_overridden(f"EMAIL_{name}")}
    assert given == (set() if django.VERSION >= (6, 1) else set(OLD))
