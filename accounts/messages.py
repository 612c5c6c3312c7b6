"""A mail as data, and as the MIME message it travels as.

What is the same in many mails (headers, structure) is written once by Django's mail for each subject and language and
kept as a skeleton, cut where the values go: building and serialising a whole message took ten times as long as the
rest of a mail. Bodies are in base64: 8bit breaks DKIM at some relays, quoted-printable doubles Cyrillic, and no value
can be taken for structure.
"""

import re
from base64 import b64encode
from dataclasses import dataclass
from email.charset import BASE64, SHORTEST, Charset
from email.utils import formatdate
from functools import lru_cache
from struct import iter_unpack
from typing import cast
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, SafeMIMEMultipart
from django.utils.encoding import punycode

from jobs.errors import Permanent

UTF8 = Charset("utf-8")
UTF8.body_encoding = BASE64
UTF8.header_encoding = SHORTEST

LINE = 76  # characters of base64 (RFC 2045, 6.8)
Skeleton = tuple[tuple[bytes, ...], tuple[str, ...]]  # the fixed pieces, and the names of the values between them


@dataclass(frozen=True)
class Mail:
    """One mail to one person. job_id: makes its Message-ID. to: as `addresses.deliverable` returns it."""

    job_id: str
    to: str
    language: str
    subject: str
    text: str
    html: str


def as_message(mail: Mail) -> EmailMultiAlternatives:
    """The mail for Django's backends, with the headers that every mail of this site has."""
    reference = message_id(mail.job_id)
    headers = {
        "Message-ID": reference,
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
        "X-Entity-Ref-ID": reference.strip("<>"),
        "Content-Language": mail.language,
    }
    return _message(mail.subject, mail.text, mail.html, mail.to, settings.SUPPORT_EMAIL, headers)


def as_bytes(mail: Mail) -> bytes:
    """The mail as SMTP carries it: equal in all but Date and boundary at every try.

    Raises Permanent when a header cannot be built.
    """
    pieces, names = _skeleton(mail.subject, mail.language, settings.DEFAULT_FROM_EMAIL, settings.SUPPORT_EMAIL)
    reference = message_id(mail.job_id).strip("<>").encode()
    values = {
        "to": mail.to.encode("ascii"),
        "reference": reference,
        "date": formatdate().encode(),
        "text": _base64(mail.text),
        "html": _base64(mail.html),
    }
    filled = [part for piece, name in zip(pieces, names, strict=False) for part in (piece, values[name])]
    return b"".join((*filled, pieces[-1]))


@lru_cache(maxsize=256)
def _skeleton(subject: str, language: str, sender: str, support: str) -> Skeleton:
    marks = {name: f"{name}.mark@mark.invalid" for name in ("to", "reference", "date", "text", "html")}
    headers = {
        "Message-ID": f"<{marks['reference']}>",
        "Date": marks["date"],
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
        "X-Entity-Ref-ID": marks["reference"],
        "Content-Language": language,
    }
    message = _message(subject, marks["text"], marks["html"], marks["to"], support, headers, sender)
    try:
        raw = cast(SafeMIMEMultipart, message.message()).as_bytes(linesep="\r\n")
    except ValueError as wrong:  # Django's BadHeaderError and the email package's own
        raise Permanent(f"a header of the mail cannot be built: {wrong}") from wrong
    found = {_base64(mark) if name in ("text", "html") else mark.encode(): name for name, mark in marks.items()}
    pieces = re.split(b"(%s)" % b"|".join(map(re.escape, found)), raw)
    return tuple(pieces[::2]), tuple(found[mark] for mark in pieces[1::2])


def _message(
    subject: str, text: str, html: str, to: str, support: str, headers: dict[str, str], sender: str | None = None
) -> EmailMultiAlternatives:
    message = EmailMultiAlternatives(subject, text, sender, [to], reply_to=[support], headers=headers)
    message.attach_alternative(html, "text/html")
    message.encoding = UTF8
    return message


def _base64(words: str) -> bytes:
    whole = b64encode(words.encode())
    end = len(whole) // LINE * LINE
    lines = [line for (line,) in iter_unpack(f"{LINE}s", whole[:end])]
    return b"\r\n".join([*lines, *([whole[end:]] if whole[end:] else []), b""])


@lru_cache(maxsize=8)
def _domain(site_url: str) -> str:
    host = urlsplit(site_url).hostname or "localhost"
    return f"[{host}]" if ":" in host else punycode(host)


def message_id(job_id: str) -> str:
    """`<job_id@domain of the site>`, another for each job id.

    A job id may hold colons, and dots where a dot-atom has none: these become "+" and "=", which no job id holds.
    """
    local = re.sub(r"^\.|\.$|(?<=\.)\.", "=", job_id).replace(":", "+")
    return f"<{local}@{_domain(settings.SITE_URL)}>"
