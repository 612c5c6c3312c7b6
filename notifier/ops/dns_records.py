"""SPF, DKIM and DMARC records of the sender's domain. Without them, mail servers treat our email as spam."""

from collections.abc import Iterator
from email.utils import parseaddr
from typing import NamedTuple

import dns.exception
import dns.resolver
from django.conf import settings

TIMEOUT_SECONDS = 3.0
SELECTORS = ("default", "mail", "s1", "selector1", "google", "k1", "pm", "mx")  # those that mail services commonly use
MAX_DMARC_LOOKUPS = 8  # names, as in DMARC's tree walk (draft-ietf-dmarc-dmarcbis, 4.10)


class Record(NamedTuple):
    """The state of one kind of DNS record."""

    name: str
    present: bool | None  # None: not known
    message: str
    action: str  # empty when there is nothing to do


def check_records() -> Iterator[Record]:
    """Look up the three records of DEFAULT_FROM_EMAIL's domain."""
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2]
    try:
        spf = _texts(domain, "v=spf1")
        dmarc = _dmarc_name(domain)
        selectors = [name for name in SELECTORS if _texts(f"{name}._domainkey.{domain}", "p=")]
    except (dns.exception.DNSException, OSError) as error:
        yield Record("DNS", None, f"no reply ({type(error).__name__}): SPF, DKIM and DMARC were not checked", "")
        return
    if spf:
        yield Record("SPF", True, f"{domain} has a record", "")
    else:
        yield _missing("SPF", domain, '"v=spf1 include:<your mail service> -all"')
    if dmarc:
        yield Record("DMARC", True, f"{dmarc} has a record", "")
    else:
        first = f'"v=DMARC1; p=none; rua=mailto:{settings.SUPPORT_EMAIL}"'
        yield _missing("DMARC", f"_dmarc.{domain}", f"{first} first, and p=quarantine when its reports show no failure")
    if selectors:
        yield Record("DKIM", True, f"{selectors[0]}._domainkey.{domain} has a key", "")
    else:
        message = "no key under a common selector; yours may have another name"
        yield Record("DKIM", None, message, "ask your mail service for its selector")


def _missing(name: str, where: str, text: str) -> Record:
    return Record(name, False, f"{where} has no record: email may be treated as spam", f"add a TXT record {text}")


def _dmarc_name(domain: str) -> str:
    """Return the name of the DMARC record that applies to the domain; empty when there is none.

    A subdomain without a record of its own has that of a parent domain, up to the organisation's.
    """
    labels = domain.split(".")
    for parent in (labels[at:] for at in range(max(1, len(labels) - 1))[:MAX_DMARC_LOOKUPS]):
        name = f"_dmarc.{'.'.join(parent)}"
        if _texts(name, "v=DMARC1"):
            return name
    return ""


def _texts(name: str, part: str) -> list[str]:
    """Return the TXT records of `name` that contain `part`. Raises DNSException when the DNS does not reply."""
    try:
        response = dns.resolver.resolve(name, "TXT", lifetime=TIMEOUT_SECONDS)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    texts = (b"".join(record.strings).decode("ascii", "replace") for record in response)
    return [text for text in texts if part in text]
