"""A letter as a MIME message: its headers and its two parts."""

import re
from email.charset import BASE64, SHORTEST, Charset
from typing import Any, cast
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, SafeMIMEMultipart
from django.utils.encoding import punycode

from accounts import rendering
from accounts.letters import Letter
from jobs.errors import Permanent

# 8bit bodies break DKIM at some relays, quoted-printable doubles Cyrillic.
UTF8 = Charset("utf-8")
UTF8.body_encoding = BASE64
UTF8.header_encoding = SHORTEST
FOLDED_ID = re.compile(rb"(?m)^(Message-ID:|X-Entity-Ref-ID:) ?\r\n ")


def compose(job_id: str, letter: Letter, recipient: Any) -> EmailMultiAlternatives:
    """The mail of job `job_id`; equal in all but Date and boundary at every try. recipient: not yet checked."""
    return mime(job_id, rendering.render(letter), recipient, letter.language)


def mime(job_id: str, parts: tuple[str, str, str], recipient: Any, language: str) -> EmailMultiAlternatives:
    """A mail of `parts`, subject, text and HTML, with the headers that every mail of this site has."""
    subject, text, html = parts
    reference = message_id(job_id)
    message = EmailMultiAlternatives(
        subject=subject,
        body=text,
        to=[recipient],
        reply_to=[settings.SUPPORT_EMAIL],
        headers={
            "Message-ID": reference,
            "Auto-Submitted": "auto-generated",
            "X-Auto-Response-Suppress": "All",
            "X-Entity-Ref-ID": reference.strip("<>"),
            "Content-Language": language,
        },
    )
    message.attach_alternative(html, "text/html")
    message.encoding = UTF8
    return message


def on_the_wire(message: EmailMultiAlternatives) -> bytes:
    """The message as SMTP carries it. Raises Permanent when a header cannot be built.

    Long identifiers are put back on their header's line: not every reader of mail unfolds a Message-ID.
    """
    try:
        raw = cast(SafeMIMEMultipart, message.message()).as_bytes(linesep="\r\n")
    except ValueError as wrong:  # Django's BadHeaderError and the email package's own
        raise Permanent(f"a header of the mail cannot be built: {wrong}") from wrong
    return FOLDED_ID.sub(rb"\1 ", raw, count=2)


def message_id(job_id: str) -> str:
    """`<job_id@domain of the site>`, another for each job id.

    A job id may hold colons, and dots where a dot-atom has none: these become "+" and "=", which no job id holds.
    """
    last = len(job_id) - 1
    local = "".join(
        "=" if letter == "." and (at in (0, last) or job_id[at - 1] == ".") else letter
        for at, letter in enumerate(job_id.replace(":", "+"))
    )
    host = urlsplit(settings.SITE_URL).hostname or "localhost"
    return f"<{local}@{f'[{host}]' if ':' in host else punycode(host)}>"
