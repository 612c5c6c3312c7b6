"""MAIL_TEMPLATES_DIR: one sentence, the frame, and templates that are broken in every way."""

import re

import pytest
from django.template import engines
from django.template.loader import render_to_string
from structlog.testing import capture_logs

from accounts.mail.rendering import Templates, render_payload, templates
from accounts.previews import faults
from notifier.checks import check_emails
from tests.support.languages import write_catalogue
from tests.support.mail import PAYLOAD, account_email

ADVICE = "emails/sign_in/advice.txt"
BODY = "emails/sign_in/body.html"
FRAME = "emails/frame.html"


@pytest.fixture
def override(settings, tmp_path):
    """Return a function that writes a template into the folder of the setting."""
    settings.MAIL_TEMPLATES_DIR = str(tmp_path)
    [first, *_others] = settings.TEMPLATES
    settings.TEMPLATES = [first, {**first, "NAME": "mail", "DIRS": [tmp_path, *first["DIRS"]]}]

    def write(name, text):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(text.encode("utf-8", "surrogateescape"))
        for loader in engines["mail"].engine.template_loaders:
            loader.reset()  # they remember that there was no such file

    with templates(Templates.USABLE):  # without the parts that earlier tests made
        yield write


def test_a_template_in_the_folder_changes_one_sentence(override):
    before = render_payload(PAYLOAD, "en")
    override(
        ADVICE, "{% load i18n %}{% if language == 'en' %}Call 1800-1234 without delay.{% else %}1800-1234{% endif %}"
    )
    with templates(Templates.USABLE):
        _subject, text, html = render_payload(PAYLOAD, "en")
        assert "1800-1234" in render_payload(PAYLOAD, "mn")[1]
    assert "Call 1800-1234 without delay." in text
    assert "Call 1800-1234 without delay." in html
    assert "Change your password without delay" in before[1]
    assert text.splitlines()[:10] == before[1].splitlines()[:10]


def test_a_template_in_the_folder_changes_the_look_of_every_email(override):
    override(FRAME, "<html><body><h6>Yellow</h6>{% block body %}{% endblock %}</body></html>")
    for html in (render_payload(PAYLOAD, "mn")[2], account_email("password_reset", "en")[2]):
        assert "<h6>Yellow</h6>" in html
        assert "border-radius" not in html
        assert "http" in html


def test_a_template_may_extend_the_one_that_it_replaces(override):
    override(BODY, '{% extends "emails/sign_in/body.html" %}{% block preheader %}Look: {{ device }}{% endblock %}')
    html = render_payload(PAYLOAD, "en")[2]
    assert "Look: Chrome, Windows" in html
    assert "This wasn’t me" in html
    assert check_emails() == []


def test_pages_are_not_overridden(override):
    override("500.html", "mine")
    assert render_to_string("500.html") != "mine"


def without_links(parts):
    """The parts of an email without what differs at each rendering."""
    return [re.sub(r"http[^\s\"]+", "", part) for part in parts]


BROKEN = {
    "syntax": (ADVICE, "{% if %}", f"{ADVICE}: Unexpected end of expression in if tag"),
    "unknown tag": (BODY, "{% price %}", f"{BODY}: Invalid block tag on line 1: 'price'"),
    "not text": (FRAME, "\udcff", f"{FRAME}: UnicodeDecodeError"),
    "missing parent": (BODY, '{% extends "emails/nothing.html" %}', f"{BODY}: emails/nothing.html"),
    "endless": (ADVICE, f'{{% include "{ADVICE}" %}}', "RecursionError"),
    "empty": (BODY, " ", f"{BODY}: it is empty"),
    "changed value": (BODY, "<p>{{ device|upper }}</p>", f"{BODY}: it is empty, or a filter changed a value"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_template_is_reported_at_the_start_and_costs_no_email(override, name):
    template, text, fault = BROKEN[name]
    original = without_links(render_payload(PAYLOAD, "en"))
    override(template, text)
    with capture_logs() as logged, templates(Templates.USABLE):
        assert without_links(render_payload(PAYLOAD, "en")) == original
    assert {line["event"] for line in logged} == {"email template failed, the original was used"}
    messages = check_emails()
    assert any(fault in message.msg for message in messages), messages
    assert {message.id for message in messages} == {"notifier.E005"}


def test_a_template_without_the_button_is_reported(override):
    override("emails/sign_in/body.txt", '{% extends "emails/frame.txt" %}{% block body %}{{ when }}{% endblock %}')
    messages = [message.msg for message in check_emails()]
    assert any(message.startswith("the link to ") and "/accounts/not-me/ is missing" in message for message in messages)
    assert any("/accounts/notices/off/ is missing" in message for message in messages), "of another site's email"


def test_a_translation_that_cannot_be_filled_in_is_reported(settings, tmp_path):
    write_catalogue(tmp_path, "en", {"mail\x04%(city)s time": "%(town)s", "mail\x04%(method)s and %(factor)s": "%(x)s"})
    settings.LOCALE_DIR = str(tmp_path)
    settings.LOCALE_PATHS = [tmp_path, *settings.LOCALE_PATHS]
    [message] = check_emails()
    assert message.msg.startswith("a translation: KeyError: 'x' in sign-in.routine.factor-code (en) and 2 more")


def test_without_a_folder_no_email_is_made_at_the_start(settings, monkeypatch):
    monkeypatch.setattr(faults, "find_faults", lambda: {"made": [""]})
    assert check_emails() == []
    settings.LOCALE_DIR = "/somewhere"
    assert len(check_emails()) == 1
