"""GET /metrics for Prometheus: open to this machine, and to clients with METRICS_TOKEN as their bearer token."""

import hmac

import structlog
from django.conf import settings
from django.db import Error
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from notifier.middleware import parse_address
from notifier.ops.collector import Collector

log = structlog.get_logger("notifier.ops.metrics")

FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_VIA", "HTTP_X_FORWARDED_HOST")


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Return the metrics in the format that `Accept` names.

    Other clients get 401 or 403. The response is 503 when the database is away.
    """
    if not (_is_local(request) or _has_token(request)):
        if settings.METRICS_TOKEN:
            return _text("METRICS_TOKEN is required as the bearer token\n", 401, {"WWW-Authenticate": "Bearer"})
        return _text("open to this machine only; other clients need METRICS_TOKEN\n", 403)
    registry = CollectorRegistry()
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    try:
        registry.register(Collector())
        body = encode(registry)
    except Error as away:
        log.warning("metrics cannot be read", error=type(away).__name__)
        return _text("the database cannot be reached\n", 503)
    return HttpResponse(body, content_type=content_type, headers={"Cache-Control": "no-store"})


def _text(text: str, status: int, headers: dict[str, str] | None = None) -> HttpResponse:
    return HttpResponse(text, status=status, content_type="text/plain; charset=utf-8", headers=headers)


def _is_local(request: HttpRequest) -> bool:
    """Whether the client is on this machine and came through no proxy, which would admit every client."""
    address = parse_address(request.META.get("REMOTE_ADDR", ""))
    peer = parse_address(request.META.get("PEER_ADDR", ""))
    called_here = address is not None and address.is_loopback and peer is not None and peer.is_loopback
    return called_here and not any(name in request.META for name in FORWARDED)


def _has_token(request: HttpRequest) -> bool:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    wanted = settings.METRICS_TOKEN.encode()
    same = hmac.compare_digest(token.strip().encode("utf-8", "replace"), wanted)
    return bool(wanted) and scheme.lower() == "bearer" and same
