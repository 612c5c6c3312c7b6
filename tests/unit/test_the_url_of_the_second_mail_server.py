"""EMAIL_FALLBACK_URL: what it means, and one clear message without its password when it is wrong."""

import pytest
from environs import ValidationError

from notifier.mail_services import parse_url

PLAIN = {"host": "b.mn", "port": 25, "username": "", "password": "", "use_tls": False, "use_ssl": False}


@pytest.mark.parametrize(
    ("url", "differs"),
    [
        ("smtp://b.mn", {}),
        ("smtp://b.mn:2525/", {"port": 2525}),
        ("smtp://b.mn:587", {"port": 587, "use_tls": True}),
        ("smtp://b.mn:465", {"port": 465, "use_ssl": True}),
        ("smtp://b.mn:587?tls=no", {"port": 587}),
        ("smtp://b.mn?tls=ssl", {"port": 465, "use_ssl": True}),
        ("smtp://b.mn?tls=starttls", {"port": 587, "use_tls": True}),
        ("smtp://b.mn:2525?tls=1", {"port": 2525, "use_tls": True}),
        ("smtp://bat:secret@b.mn:25", {"username": "bat", "password": "secret"}),
        ("smtp://bat@site.mn:secret@b.mn:25", {"username": "bat@site.mn", "password": "secret"}),
        ("smtp://b%40t:s%2Fe%23%3F%5B%3A%40%25@b.mn:25", {"username": "b@t", "password": "s/e#?[:@%"}),
        ("smtp://[2001:db8::1]:25", {"host": "2001:db8::1"}),
    ],
)
def test_a_url_says_where_and_how(url, differs):
    assert parse_url(url) == {**PLAIN, **differs}


def test_without_a_url_there_is_only_one_server():
    assert parse_url("") == parse_url(" ") == {}


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://bat:s3cret@b.mn", "write smtp://user:password@smtp.example.mn:587?tls=starttls"),
        ("bat:s3cret@b.mn", "write smtp://"),
        ("smtp://bat:s3cret#1@b.mn", "percent-encoded: write # as %23"),
        ("smtp://bat:s3c/ret@b.mn", "percent-encoded: write / as %2F"),
        ("smtp://bat:s3cret?@b.mn", "percent-encoded: write ? as %3F"),
        ("smtp://bat:s3cret%@b.mn", "percent-encoded: write % as %25"),
        ("smtp://bat:s3cret@b.mn/inbox", "path"),
        ("smtp://bat:s3cret@smtp..mn", "host"),
        ("smtp://bat:s3cret@", "empty"),
        ("smtp://bat:s3cret@b.mn:0", "port"),
        ("smtp://bat:s3cret@b.mn:99999", "write smtp://"),
        ("smtp://bat:s3cret@b.mn?tls=maybe", "starttls, ssl or no"),
        ("smtp://bat:s3cret@b.mn?ssl=1", "option"),
        ("smtp://bat@b.mn", "without a password"),
        ("smtp://bat:s3cret%D0%BD@b.mn", "ASCII"),
    ],
)
def test_a_wrong_url_is_refused_with_what_to_write_and_without_its_password(url, words):
    with pytest.raises(ValidationError) as refused:
        parse_url(url)
    assert words in str(refused.value)
    assert "s3cret" not in str(refused.value)
