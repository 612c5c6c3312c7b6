"""Middleware about how a request arrived: the client's address and scheme behind proxies, probes, and API keys.

`trusted_proxies` is the only code that reads X-Forwarded-For, so that everything after it agrees on REMOTE_ADDR. The
header is a list. Each proxy appends, at the right end, the address that connected to it. Entries left of those that our
own proxies wrote come from the client. So the list is read from the right: addresses in TRUSTED_PROXIES are skipped,
and the first other one is the client's.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import ResolverMatch, resolve
from django.utils import translation
from structlog.contextvars import get_contextvars

from accounts.sites import api_calls, api_requests

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
View = Callable[[HttpRequest], HttpResponse]

MAX_HOPS = 20  # entries read, from the right
UNIX = "unix"  # in TRUSTED_PROXIES: a client that connects over a unix socket, which has no address
PATHS_KEPT, ADDRESSES_KEPT = 64, 1_000  # in memory
PROBES = ("/healthz", "/readyz", "/metrics")
QUOTED = r'"(?:[^"\\]|\\.)*"'
ELEMENTS = re.compile(rf"(?:[^,\"]|{QUOTED})+")  # of a Forwarded header (RFC 7239)
PAIRS = re.compile(rf"(for|proto)\s*=\s*({QUOTED}|[^;,\s]+)", re.IGNORECASE)


def answer_probes(get_response: View) -> View:
    """Middleware: run the views of probes directly, for any Host header, without sessions or a redirect to https."""

    def respond(request: HttpRequest) -> HttpResponse:
        if request.path_info not in PROBES:
            return get_response(request)
        match = request.resolver_match = resolve(request.path_info)
        return match.func(request)

    return respond


def skip_sessions(get_response: View) -> View:
    """Middleware: run the views of the API directly for requests with an Authorization header.

    Those are of programs, which have no session, user or language. The API accepts no session with that header.
    """

    def respond(request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith("/api/") or "HTTP_AUTHORIZATION" not in request.META:
            return get_response(request)
        translation.activate(settings.LANGUAGE_CODE)  # the thread may still have the last user's
        match = request.resolver_match = _resolve(request.path_info, settings.ROOT_URLCONF)
        return match.func(request, *match.args, **match.kwargs)

    return respond


@lru_cache(PATHS_KEPT)
def _resolve(path: str, urlconf: str) -> ResolverMatch:
    """Return the view of a path; for the paths without an id, which are most requests, from memory."""
    return resolve(path, urlconf)


def trusted_proxies(get_response: View) -> View:
    """Middleware, before all others: set REMOTE_ADDR and the scheme to the client's."""
    networks, unix = parse_networks(settings.TRUSTED_PROXIES)

    def respond(request: HttpRequest) -> HttpResponse:
        meta = request.META
        meta["PEER_ADDR"] = peer = meta.get("REMOTE_ADDR") or ""
        if _is_trusted(peer, networks, unix):
            addresses, schemes = forwarded_values(meta)
            meta["REMOTE_ADDR"], proxies = _client(peer, addresses, networks)
            if schemes and schemes[max(-len(schemes), -proxies)].strip(' \t"').lower() == "https":
                meta["wsgi.url_scheme"] = "https"
        else:
            meta["REMOTE_ADDR"] = str(parse_address(peer) or "")
        return get_response(request)

    return respond


def forwarded_values(meta: dict[str, str]) -> tuple[list[str], list[str]]:
    """Return the entries of X-Forwarded-For and X-Forwarded-Proto, the last MAX_HOPS of each.

    `Forwarded` (RFC 7239) is read only when both are missing: a proxy that writes them may pass on a client's.
    """
    addresses, schemes = meta.get("HTTP_X_FORWARDED_FOR", ""), meta.get("HTTP_X_FORWARDED_PROTO", "")
    if addresses or schemes:
        return addresses.split(",")[-MAX_HOPS:], schemes.split(",")[-MAX_HOPS:] if schemes else []
    elements = ELEMENTS.findall(meta.get("HTTP_FORWARDED", ""))[-MAX_HOPS:]
    pairs = [{name.lower(): value for name, value in PAIRS.findall(element)} for element in elements]
    return [pair.get("for", "") for pair in pairs], [pair.get("proto", "") for pair in pairs]


def _client(peer: str, forwarded: list[str], networks: Iterable[Network]) -> tuple[str, int]:
    """Return the client's address and the number of trusted proxies on the way, the peer included.

    An entry that is not an address ends the reading: then the last proxy before it is all that is known.
    """
    seen, proxies = parse_address(peer), 0
    for word in reversed(forwarded):
        proxies += 1
        address = parse_address(word)
        if address is None:
            break
        seen = address
        if not _within(address, networks):
            break
    return str(seen or ""), max(1, proxies)


@lru_cache(ADDRESSES_KEPT)
def parse_address(word: str) -> Address | None:
    """Parse an address with what proxies write around it: ports, brackets, quotes, a zone, ::ffff:1.2.3.4.

    Returns None when `word` is not an address.
    """
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
    """Split TRUSTED_PROXIES into networks and whether unix sockets are trusted. Raises ValueError on other words."""
    words = list(words)
    return [ipaddress.ip_network(word) for word in words if word != UNIX], UNIX in words


def _is_trusted(peer: str, networks: Iterable[Network], unix: bool) -> bool:
    address = parse_address(peer)
    return unix if address is None and not peer else address is not None and _within(address, networks)


def _within(address: Address, networks: Iterable[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def note_api_request(get_response: View) -> View:
    """Middleware: count and note each request with a valid API key, by its operation and result."""

    def respond(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        key, match = getattr(request, "api_key", None), request.resolver_match
        if key is not None and match is not None:
            problem = getattr(response, "problem", "")
            call: dict[str, Any] = {
                "method": request.method or "",
                "route": match.route,
                "status": response.status_code,
            }
            api_requests.note(key, **call, problem=problem)
            api_calls.note(key, **call, problem=problem, request_id=get_contextvars().get("request_id", ""))
        return response

    return respond
