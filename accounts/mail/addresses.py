"""Checks of an email address before the mail server is asked."""

import re

import idna

from jobs.core.errors import Permanent

LONGEST = 254  # RFC 5321, with the domain as it travels
LONGEST_LOCAL = 64
LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def deliverable(address: object) -> str:
    """Return the address as SMTP takes it, a domain of other letters in punycode.

    Raises Permanent with the reason, in words for the operator and without the address itself.
    """
    if not isinstance(address, str) or not address.strip():
        raise Permanent("there is no mail address")
    if CONTROL.search(address):
        raise Permanent("the address holds a line break or another control character")
    local, at, domain = address.strip().rpartition("@")
    if not at or not local or not domain:
        raise Permanent("the address is not valid: it needs one @ with something on either side")
    _check_local(local)
    usable = f"{local}@{_ascii_domain(domain)}"
    if len(usable) > LONGEST:
        raise Permanent(f"the address is {len(usable)} characters long, mail servers take {LONGEST}")
    return usable


def _check_local(local: str) -> None:
    if not local.isascii():
        raise Permanent("the part before the @ has letters that mail servers do not take (other than A-Z)")
    if len(local) > LONGEST_LOCAL:
        raise Permanent(f"the part before the @ is {len(local)} characters long, mail servers take {LONGEST_LOCAL}")
    if not LOCAL.fullmatch(local):
        raise Permanent("the part before the @ has a character or a dot where mail servers take none")


def _ascii_domain(domain: str) -> str:
    """Return the domain in punycode, as registries have it (IDNA 2008, UTS 46): by IDNA 2003 "ß" would be "ss"."""
    if domain.isascii():
        ascii_domain = domain
    else:
        try:
            ascii_domain = idna.encode(domain, uts46=True, transitional=False).decode("ascii")
        except UnicodeError as wrong:  # idna.IDNAError is one
            raise Permanent("the part after the @ is not a valid domain") from wrong
    if not all(map(LABEL.fullmatch, ascii_domain.split("."))):
        raise Permanent("the part after the @ is not a valid domain")
    return ascii_domain
