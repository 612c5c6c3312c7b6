"""Records in the DNS: SPF, DKIM and DMARC of the senders' domains, without which email counts as spam; host names."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import dns.exception
import dns.resolver
from django.conf import settings
from django.utils.translation import gettext_noop as _

from notifier.ops.checks.findings import Text

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
    """Look up the three records of each domain in SENDER_DOMAINS. Stop when the DNS does not reply."""
    for domain in settings.SENDER_DOMAINS:
        try:
            yield from _check_domain(domain)
        except (dns.exception.DNSException, OSError) as error:
            values = {"domain": domain, "error": type(error).__name__}
            message = Text(_("no reply for %(domain)s (%(error)s): its SPF, DKIM and DMARC were not checked"), **values)
            yield Record("DNS", None, message, "")
            if isinstance(error, dns.exception.Timeout):
                return


def resolves(host: str) -> bool | None:
    """Return whether the DNS has an address for a host; None when it does not reply."""
    try:
        return any(_addresses(host, kind) for kind in ("A", "AAAA"))
    except (dns.exception.DNSException, OSError):
        return None


def _check_domain(domain: str) -> Iterator[Record]:
    """Look up the records of one domain. Raise DNSException when the DNS does not reply."""
    spf = _texts(domain, "v=spf1")
    dmarc = _dmarc_name(domain)
    selectors = [name for name in SELECTORS if _texts(f"{name}._domainkey.{domain}", "p=")]
    if spf:
        yield Record("SPF", True, Text(_("%(name)s has a record"), name=domain), "")
    else:
        action = Text(_('add a TXT record "v=spf1 include:<your mail service> -all"'))
        yield _missing("SPF", domain, action)
    if dmarc:
        yield Record("DMARC", True, Text(_("%(name)s has a record"), name=dmarc), "")
    else:
        record = f'"v=DMARC1; p=none; rua=mailto:{settings.SUPPORT_EMAIL}"'
        first = _("add a TXT record %(record)s first, and p=quarantine when its reports show no failure")
        yield _missing("DMARC", f"_dmarc.{domain}", Text(first, record=record))
    if selectors:
        yield Record("DKIM", True, Text(_("%(name)s has a key"), name=f"{selectors[0]}._domainkey.{domain}"), "")
    else:
        message = Text(_("%(name)s has no key under a common selector; yours may have another name"), name=domain)
        yield Record("DKIM", None, message, Text(_("ask your mail service for its selector")))


def _missing(name: str, where: str, action: Text) -> Record:
    return Record(name, False, Text(_("%(name)s has no record: email may be treated as spam"), name=where), action)


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
    texts = (b"".join(record.strings).decode("ascii", "replace") for record in _resolve(name, "TXT"))
    return [text for text in texts if part in text]


def _addresses(name: str, kind: str) -> list[str]:
    """Return the addresses of `name`; kind: "A" or "AAAA"."""
    return [record.address for record in _resolve(name, kind)]


def _resolve(name: str, kind: str) -> Iterable[Any]:
    """Return the records of `name`; none when it has none. Raise DNSException when the DNS does not reply."""
    try:
        return dns.resolver.resolve(name, kind, lifetime=TIMEOUT_SECONDS)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
