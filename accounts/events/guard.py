"""Which addresses an event may be sent to: public ones alone, so that no receiver's URL reaches our own networks.

A host is resolved once, each of its addresses is checked, and the connection goes to a checked address, not to the
name. So a name that changes its address in between (DNS rebinding) leads nowhere else. The resolver turns every
notation of an IPv4 address (decimal, octal, hexadecimal, short) into the address, and the address is what is checked.
"""

import ipaddress
import queue
import re
import socket
import threading
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

LONGEST_URL = 500
PORTS = {"https": 443, "http": 80}
VISIBLE = r"[!-~]+"
OWN_NAMES = ("localhost", "local", "internal", "localdomain", "home.arpa", "intranet", "lan")  # no public name ends so

# What the IANA registries of special-purpose addresses do not call globally reachable, and multicast.
REFUSED_IPV4 = [
    ipaddress.IPv4Network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"),
        *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
    )
]
# Everything outside of 2000::/3 is refused: loopback, IPv4-mapped, NAT64, unique local, link-local, multicast.
PUBLIC_IPV6 = ipaddress.IPv6Network("2000::/3")
REFUSED_IPV6 = [
    ipaddress.IPv6Network(network)
    for network in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")  # Teredo and others, examples, 6to4
]


class Refused(Exception):
    """No address of the host may be used; the text says why, without the address."""


class Target(NamedTuple):
    """A checked address of a host, as `socket.connect` takes it."""

    family: int
    address: tuple[str, int] | tuple[str, int, int, int]


def is_public(address: str) -> bool:
    """Return whether an IP address is globally reachable; False for text that is not an IP address."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv4Address):
        return not any(ip in network for network in REFUSED_IPV4)
    return ip in PUBLIC_IPV6 and not any(ip in network for network in REFUSED_IPV6)


def allowed_schemes() -> tuple[str, ...]:
    """Return the schemes that a URL may have now: https, and http by the settings."""
    return ("https", "http") if settings.DEBUG or settings.EVENT_ALLOW_PRIVATE else ("https",)


def resolve(host: str, port: int, seconds: float, allow_private: bool | None = None) -> list[Target]:
    """Return the checked addresses of a host. Raise Refused when none is public, OSError when it is not found.

    seconds: how long to wait. The system's resolver has no limit of its own, so a thread asks it.
    allow_private: whether other addresses may be used as well; by default as EVENT_ALLOW_PRIVATE says.
    """
    answers: queue.SimpleQueue[list[Target] | Exception] = queue.SimpleQueue()
    threading.Thread(target=_look_up, args=(host, port, answers), daemon=True).start()
    try:
        found = answers.get(timeout=max(0.0, seconds))
    except queue.Empty:
        raise TimeoutError("the host was not found in time") from None
    if isinstance(found, Exception):
        raise OSError("the host was not found") from found
    private = settings.EVENT_ALLOW_PRIVATE if allow_private is None else allow_private
    allowed = [target for target in found if private or is_public(target.address[0])]
    if not allowed:
        raise Refused("the host has no public address")
    return allowed


def _look_up(host: str, port: int, answers: "queue.SimpleQueue[list[Target] | Exception]") -> None:
    try:
        rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        answers.put([Target(family, address) for family, _type, _proto, _name, address in rows])  # type: ignore[arg-type]
    except (OSError, UnicodeError) as error:
        answers.put(error)


def check_url(value: str) -> None:
    """Check the URL of an endpoint, as far as that is possible without asking for its address. Raise ValidationError.

    EVENT_ALLOW_PRIVATE allows http and private hosts, DEBUG allows http.
    """
    parts = _split(value)
    if parts is None or not re.fullmatch(VISIBLE, value) or "\\" in value:
        raise ValidationError(_("Write a URL like https://shop.example/events, in ASCII."))
    if parts.scheme not in allowed_schemes():
        raise ValidationError(_("The URL must begin with https://."))
    if "@" in parts.netloc:
        raise ValidationError(_("The URL must not have a user name or a password."))
    if parts.fragment or "#" in value:
        raise ValidationError(_("The URL must not have a fragment (#)."))
    if not settings.EVENT_ALLOW_PRIVATE and _is_obviously_private(parts.hostname or ""):
        raise ValidationError(_("The host of the URL must have a public address."))


def _split(value: str) -> SplitResult | None:
    """Return the parts of a URL; None when it has no host or an impossible port, or is too long."""
    try:
        parts = urlsplit(value)
        usable = bool(parts.hostname) and parts.port != 0 and len(value) <= LONGEST_URL
    except ValueError:
        return None
    return parts if usable else None


def _is_obviously_private(host: str) -> bool:
    """Return whether a host is an address that is not public, in any notation, or a name of a local network."""
    if ":" in host:
        return not is_public(host)
    try:
        return not is_public(socket.inet_ntoa(socket.inet_aton(host)))
    except OSError:
        name = host.lower().rstrip(".")
        return "." not in name or any(name.endswith(f".{end}") for end in OWN_NAMES)
