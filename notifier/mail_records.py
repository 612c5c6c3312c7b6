"""SPF, DKIM and DMARC of the sender's domain, as the DNS has them. Without them our mail is taken for spam."""

from collections.abc import Iterator
from email.utils import parseaddr

import dns.exception
import dns.resolver
from django.conf import settings

SECONDS = 3.0
SELECTORS = ("default", "mail", "s1", "selector1", "google", "k1", "pm", "mx")  # what services commonly use
Record = tuple[str, bool | None, str, str]  # name; there, missing, or not known; what was seen; what to do


def look() -> Iterator[Record]:
    """The three records of DEFAULT_FROM_EMAIL's domain."""
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2]
    try:
        spf = _texts(domain, "v=spf1")
        dmarc = _texts(f"_dmarc.{domain}", "v=DMARC1")
        signed = [name for name in SELECTORS if _texts(f"{name}._domainkey.{domain}", "p=")]
    except (dns.exception.DNSException, OSError) as silent:
        yield (
            "DNS",
            None,
            f"does not answer here ({type(silent).__name__}): SPF, DKIM and DMARC were not looked at",
            "",
        )
        return
    yield _record("SPF", domain, bool(spf), 'a TXT record "v=spf1 include:<your mail service> -all"')
    yield _record("DMARC", f"_dmarc.{domain}", bool(dmarc), 'a TXT record "v=DMARC1; p=quarantine"')
    if signed:
        yield ("DKIM", True, f"{signed[0]}._domainkey.{domain} is there", "")
    else:
        yield ("DKIM", None, "no key under a common selector; yours may have another name", "ask your mail service")


def _record(name: str, where: str, there: bool, wanted: str) -> Record:
    if there:
        return (name, True, f"{where} has one", "")
    return (name, False, f"{where} has none: mail may be taken for spam", f"add {wanted}")


def _texts(name: str, part: str) -> list[str]:
    """TXT records of `name` that hold `part`. Raises DNSException when the DNS does not answer."""
    try:
        answer = dns.resolver.resolve(name, "TXT", lifetime=SECONDS)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    texts = (b"".join(record.strings).decode("ascii", "replace") for record in answer)
    return [text for text in texts if part in text]
