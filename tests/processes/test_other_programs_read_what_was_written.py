"""The email, read back by the programs that users have, is what was rendered; and SpamAssassin does not mind it."""

import os
import tempfile
from pathlib import Path

import pytest

from accounts.mail import mime
from accounts.mail.rendering import render_payload
from accounts.notices.account import LINKS
from tests.support import debian, mail_readers
from tests.support.mail import PAYLOAD, account_email

JOB_ID = "signin-6f0c2a52-4a3f-4d7e-9a53-0c9c5c7a7b11"
READERS = [mail_readers.read_with_python, mail_readers.read_with_notmuch]
KINDS = SCORED = ("routine", "new device", "password_reset")
if os.environ.get("WORLD"):  # make test-world: the first needs the npm registry, the second takes minutes
    READERS.append(mail_readers.read_with_mailparser)
    SCORED = ("routine", "new device", *sorted(LINKS))
MOST_POINTS = {"mn": 1.5, "en": 0.7}


@pytest.fixture(scope="module")
def usr():
    """The programs, unpacked once."""
    debian.require_root()
    return debian.unpack(*mail_readers.PACKAGES) / "usr"


@pytest.fixture
def folder():
    """A folder that another user may enter."""
    with tempfile.TemporaryDirectory(prefix="mail") as path:
        Path(path).chmod(0o755)
        yield Path(path)


def written(kind, language):
    """Subject, text and HTML as rendered, and the email as it travels."""
    if kind in LINKS:
        parts = account_email(kind, language)
    else:
        payload = {**PAYLOAD, "newDevice": kind == "new device", "moreSignIns": 4}
        parts = render_payload(payload, language)
    return parts, mime.as_bytes(mime.Mail(JOB_ID, "bat@example.mn", language, *parts))


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("language", ["mn", "en"])
def test_a_reader_shows_what_was_rendered(usr, folder, settings, reader, kind, language):
    settings.SITE_URL = "https://example.mn"
    parts, raw = written(kind, language)
    read = reader(raw, folder, usr)
    assert [mail_readers.unify(part) for part in read] == [mail_readers.unify(part) for part in parts]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("language", ["mn", "en"])
def test_an_imap_server_finds_the_email_by_its_words(usr, folder, settings, kind, language):
    settings.SITE_URL = "https://example.mn"
    (subject, text, _html), raw = written(kind, language)
    last = [line for line in text.splitlines() if line][-1]
    searches = [
        ("SUBJECT", subject),
        ("SUBJECT", subject[2:14]),
        ("BODY", last),
        ("SUBJECT", "not in it"),
        ("BODY", "not in it"),
    ]
    assert mail_readers.found_by_dovecot(raw, folder, usr, *searches) == [True, True, True, False, False]


@pytest.mark.parametrize("kind", SCORED)
@pytest.mark.parametrize("language", ["mn", "en"])
def test_spamassassin_gives_few_points(usr, folder, settings, kind, language):
    settings.SITE_URL = "https://example.mn"
    points, why = mail_readers.judge_with_spamassassin(written(kind, language)[1], folder, usr)
    assert points <= MOST_POINTS[language], why
