"""Who is asking: the one place that reads X-Forwarded-For, so that everything after it agrees on REMOTE_ADDR.

The header is a list to which each proxy adds, at the right end, the address it was called from. Whatever stands to
the left of what our own proxies wrote is the client's word. So the list is read from the right: addresses of
TRUSTED_PROXIES are passed over, and the first other one is the client.
"""

import ipaddress
from collections.abc import Callable, Iterable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

HOPS = 20  # entries read, from the right
UNIX = "unix"  # in TRUSTED_PROXIES: whoever connects over a unix socket, where there is no address


def trusted_proxies(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware, before all others: REMOTE_ADDR becomes the client's, the scheme what the trusted proxy says."""
    networks, unix = parse_networks(settings.TRUSTED_PROXIES)

    def respond(request: HttpRequest) -> HttpResponse:
        meta = request.META
        meta["PEER_ADDR"] = peer = meta.get("REMOTE_ADDR") or ""
        if _is_trusted(peer, networks, unix):
            meta["REMOTE_ADDR"] = client_address(peer, meta.get("HTTP_X_FORWARDED_FOR", ""), networks)
            if meta.get("HTTP_X_FORWARDED_PROTO", "").strip().lower() == "https":
                meta["wsgi.url_scheme"] = "https"
        else:
            meta["REMOTE_ADDR"] = str(parse_address(peer) or "")
        return get_response(request)

    return respond


def client_address(peer: str, forwarded: str, networks: Iterable[Network]) -> str:
    """The client's address as far as it is known, in its shortest form; empty when there is none.

    peer: who connected, trusted. forwarded: X-Forwarded-For as it came. A word that is no address ends the reading:
    the last proxy that was passed over is then all that is known.
    """
    seen = parse_address(peer)
    for word in reversed(forwarded.split(",")[-HOPS:]):
        address = parse_address(word)
        if address is None:
            break
        seen = address
        if not _within(address, networks):
            break
    return str(seen or "")


def parse_address(word: str) -> Address | None:
    """The address in `word`, whatever proxies write around it: ports, brackets, quotes, a zone, ::ffff:1.2.3.4."""
    word = word.strip().strip('"')
    if word.startswith("["):
        word = word[1:].partition("]")[0]
    elif word.count(":") == 1:
        word = word.partition(":")[0]
    try:
        address = ipaddress.ip_address(word.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def parse_networks(words: Iterable[str]) -> tuple[list[Network], bool]:
    """TRUSTED_PROXIES as networks, and whether a unix socket is among them. Raises ValueError on anything else."""
    words = list(words)
    return [ipaddress.ip_network(word) for word in words if word != UNIX], UNIX in words


def _is_trusted(peer: str, networks: Iterable[Network], unix: bool) -> bool:
    address = parse_address(peer)
    return unix if address is None and not peer else address is not None and _within(address, networks)


def _within(address: Address, networks: Iterable[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)
