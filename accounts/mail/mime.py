"""An email as data, and as the MIME message it travels as.

What is the same in many emails (headers, structure) is written once for each subject and language and kept as a
skeleton, cut where the values go: building and serialising a whole message took ten times as long as the rest of an
email. It is written by hand, so that it is the same under every version of Django. Bodies are in base64: 8bit breaks
DKIM at some relays, quoted-printable doubles Cyrillic, and no value can be taken for structure.
"""

import re
from base64 import b64encode
from dataclasses import dataclass, field
from email import message_from_bytes
from email.header import Header
from email.message import Message
from email.policy import Policy, compat32
from email.utils import formataddr, formatdate, parseaddr
from functools import lru_cache
from struct import iter_unpack
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.utils.encoding import punycode

from accounts.mail.brand import Brand
from jobs.core.errors import Permanent

LINE = 76  # characters of base64, and of a line with encoded words (RFC 2045, 6.8; RFC 2047, 2)
WORD = "=?utf-8?b?{}?="
BOUNDARY = "=_alternative"  # has a character that base64 has not
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
ONE_CLICK = "List-Unsubscribe=One-Click"  # RFC 8058
Skeleton = tuple[tuple[bytes, ...], tuple[str, ...]]  # the fixed pieces, and the names of the values between them


@dataclass(frozen=True)
class Mail:
    """One email to one recipient."""

    job_id: str
    """Makes the Message-ID."""
    to: str
    """The address as `addresses.deliverable` returns it."""
    language: str
    subject: str
    text: str
    html: str
    kind: str = "sign-in"
    """What mailbox providers group complaints by, in Feedback-ID: letters, digits, hyphens."""
    unsubscribe: str = ""
    """The link that turns such emails off with one POST (RFC 8058); "" for an email that cannot be turned off."""
    brand: Brand = field(default_factory=Brand.of_this_site)
    """The site that it is sent for: sender, reply address and the domains in its headers."""


class _Parsed(Message):
    """A parsed MIME message whose line ends are those that a backend asks for; its headers are never folded again."""

    def as_bytes(self, unixfrom: bool = False, policy: Policy | None = None, linesep: str = "") -> bytes:
        """Return the message. linesep: the argument that the SMTP backend of Django before 6.0 gives."""
        return super().as_bytes(unixfrom, policy or self.policy.clone(linesep=linesep or self.policy.linesep))


class _Message(EmailMultiAlternatives):
    """The email for Django's backends, which get the same MIME message as an SMTP server."""

    mail: Mail

    def message(self, *, policy: Policy | None = None) -> Any:
        """Return the MIME message. policy: the argument that backends give since Django 6.0; its line ends count."""
        raw = as_bytes(self.mail).replace(b"\r\n", b"\n")
        return message_from_bytes(raw, _class=_Parsed, policy=compat32.clone(linesep=(policy or compat32).linesep))


def as_message(mail: Mail) -> EmailMultiAlternatives:
    """Return the email for Django's backends, with the headers that every email of this site has."""
    brand = mail.brand
    headers = {
        "Message-ID": message_id(mail.job_id, brand.link_base),
        "X-Entity-Ref-ID": _reference(mail),
        **_headers(mail.language, mail.kind, brand, mail.unsubscribe),
    }
    reply_to = [brand.support] if brand.support else None
    message = _Message(mail.subject, mail.text, brand.sender, [mail.to], reply_to=reply_to, headers=headers)
    message.attach_alternative(mail.html, "text/html")
    message.mail = mail
    return message


def as_bytes(mail: Mail) -> bytes:
    """Return the email as SMTP carries it: equal in all but its Date at every try.

    Raises Permanent when a header cannot be built.
    """
    pieces, names = _skeleton(mail.subject, mail.language, mail.kind, mail.brand, bool(mail.unsubscribe))
    values = {
        "to": mail.to.encode("ascii"),
        "messageid": message_id(mail.job_id, mail.brand.link_base).encode(),
        "reference": _reference(mail).encode(),
        "date": formatdate().encode(),
        "unsubscribe": _ascii_url(mail.unsubscribe).encode("ascii"),
        "text": _base64(mail.text),
        "html": _base64(mail.html),
    }
    filled = [part for piece, name in zip(pieces, names, strict=False) for part in (piece, values[name])]
    return b"".join((*filled, pieces[-1]))


def _reference(mail: Mail) -> str:
    """Return what tells mailboxes that two emails are different ones; of another site without our domain."""
    own = message_id(mail.job_id, mail.brand.link_base).strip("<>")
    return own if mail.brand.own else own.partition("@")[0]


def _headers(language: str, kind: str, brand: Brand, unsubscribe: str = "") -> dict[str, str]:
    link = f"<{_ascii_url(unsubscribe)}>"
    turned_off = {"List-Unsubscribe": link, "List-Unsubscribe-Post": ONE_CLICK} if unsubscribe else {}
    return {
        **turned_off,
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
        "Feedback-ID": f"{kind}:{_domain_of(brand)}:notifier",
        "Content-Language": language,
    }


def _domain_of(brand: Brand) -> str:
    """Return the domain of a site in a field without colons; without a URL that of its sender."""
    found = site_domain(brand.url) if brand.url else parseaddr(brand.sender)[1].rpartition("@")[2]
    return found.strip("[]").replace(":", "-")


@lru_cache(maxsize=1024)
def _skeleton(subject: str, language: str, kind: str, brand: Brand, routine: bool) -> Skeleton:
    lines = [
        "MIME-Version: 1.0",
        f'Content-Type: multipart/alternative; boundary="{BOUNDARY}"',
        encode_header("Subject", subject),
        encode_address("From", brand.sender),
        "To: \0to\0",
        *([encode_address("Reply-To", brand.support)] if brand.support else []),
        "Date: \0date\0",
        "Message-ID: \0messageid\0",
        "X-Entity-Ref-ID: \0reference\0",
        *(encode_header(name, value) for name, value in _headers(language, kind, brand).items()),
        *(["List-Unsubscribe: <\0unsubscribe\0>", f"List-Unsubscribe-Post: {ONE_CLICK}"] if routine else []),
    ]
    for subtype, name in (("plain", "text"), ("html", "html")):
        head = f'Content-Type: text/{subtype}; charset="utf-8"\r\nContent-Transfer-Encoding: base64'
        lines += ["", f"--{BOUNDARY}", head, "", f"\0{name}\0"]
    pieces = re.split(b"\0([a-z]+)\0", "\r\n".join([*lines, f"--{BOUNDARY}--", ""]).encode("ascii"))
    return tuple(pieces[::2]), tuple(name.decode() for name in pieces[1::2])


def encode_header(name: str, value: str) -> str:
    """Return a header whose first line is not empty, folded. Raise Permanent for a line break or the like.

    Letters other than ASCII become base64 words that are cut between characters and, but for the last, at a multiple of
    three bytes: GMime (mu, notmuch) drops what follows a word that ends in "=".
    """
    if CONTROL.search(value):
        raise Permanent(f"a header of the mail cannot be built: {name} holds a control character")
    plain = value.isascii() and "=?" not in value and value == value.strip()
    if plain and max(map(len, value.split(" "))) < LINE - len(name) - 2:
        return f"{name}: " + Header(value, header_name=name).encode(linesep="\r\n")
    return f"{name}: " + "\r\n ".join(_encoded_words(value, len(name) + 2))


def encode_address(name: str, mailbox: str) -> str:
    """Return a header with one mailbox, `Name <address>` or an address. Raise Permanent as `encode_header` does."""
    shown, address = parseaddr(mailbox)
    if (shown.isascii() and "=?" not in shown) or CONTROL.search(mailbox):
        return encode_header(name, formataddr((shown, address)))
    words = encode_header(name, shown)
    fits = len(words.rpartition("\r\n")[2]) + len(address) + 3 <= LINE
    return words + (" " if fits else "\r\n ") + f"<{address}>"


def _encoded_words(value: str, used: int) -> list[str]:
    """Return the encoded words of a value. used: characters on the first line before it."""
    words: list[str] = []
    left = value
    while left:
        most = (LINE - used - len(WORD.format(""))) // 4 * 3
        used = 1
        cut = _cut(left, most)
        if cut:
            words.append(WORD.format(b64encode(left[:cut].encode("utf-8", "replace")).decode()))
        else:  # no number of these characters is a multiple of three bytes: the first goes alone, quoted
            cut = 1
            words.append("=?utf-8?q?" + "".join(f"={byte:02X}" for byte in left[0].encode("utf-8", "replace")) + "?=")
        left = left[cut:]
    return words


def _cut(left: str, most: int) -> int:
    """Return how many characters the next word takes: all, or as many as are a multiple of three bytes; 0 for none."""
    size = found = 0
    for place, char in enumerate(left, 1):
        size += len(char.encode("utf-8", "replace"))
        if size > most:
            return found
        if size % 3 == 0:
            found = place
    return len(left)


def _base64(words: str) -> bytes:
    whole = b64encode(words.encode())
    end = len(whole) // LINE * LINE
    lines = [line for (line,) in iter_unpack(f"{LINE}s", whole[:end])]
    return b"\r\n".join([*lines, *([whole[end:]] if whole[end:] else []), b""])


@lru_cache(maxsize=256)
def site_domain(site_url: str) -> str:
    """Return the host of an address as mail names it: in punycode, an IPv6 address in brackets."""
    host = urlsplit(site_url).hostname or "localhost"
    return f"[{host}]" if ":" in host else punycode(host)


def _ascii_url(url: str) -> str:
    """Return a URL of this site with its host in punycode."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return parts._replace(netloc=site_domain(url) + port).geturl() if url else ""


def message_id(job_id: str, link_base: str = "") -> str:
    """Return `<job_id@domain of link_base>`, by default of SITE_URL; another for each job id.

    A job id may hold colons, and dots where a dot-atom has none: these become "+" and "=", which no job id holds.
    """
    local = re.sub(r"^\.|\.$|(?<=\.)\.", "=", job_id).replace(":", "+")
    return f"<{local}@{site_domain(link_base or settings.SITE_URL)}>"
