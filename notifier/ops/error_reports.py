"""Reports of faults in the code to Sentry; imported only when SENTRY_DSN is set. Every text in them is masked."""

from typing import Any

import sentry_sdk
from django.conf import settings

from jobs import tracing
from jobs.core import masking

STRUCTURAL = ("event_id", "timestamp", "platform", "level", "release", "environment", "sdk", "contexts", "modules")
DROPPED = ("user", "breadcrumbs", "extra", "server_name")
DROPPED_OF_REQUEST = ("cookies", "data", "env", "query_string", "headers", "url")
FRAME = (
    "filename",
    "abs_path",
    "function",
    "module",
    "lineno",
    "in_app",
    "context_line",
    "pre_context",
    "post_context",
)


def mask(event: Any, _hint: Any) -> Any:
    """Return an event as it may leave this machine: without the user, the request's content and local variables.

    Texts of errors and logs are masked as in log lines; source lines and names of modules stay.
    """
    kept = {key: value for key, value in event.items() if key in STRUCTURAL}
    for key, value in event.items():
        if key in DROPPED or key in STRUCTURAL:
            continue
        match key:
            case "request":
                kept[key] = {name: each for name, each in value.items() if name not in DROPPED_OF_REQUEST}
            case "exception" | "threads":
                kept[key] = {"values": [_mask_exception(each) for each in value.get("values", [])]}
            case "transaction":
                kept[key] = value if event.get("transaction_info", {}).get("source") in ("route", "component") else ""
            case _:
                kept[key] = masking.hide_value(value)
    return kept


def _mask_exception(exception: dict[str, Any]) -> dict[str, Any]:
    trace = exception.get("stacktrace") or {}
    frames = [{name: frame[name] for name in FRAME if name in frame} for frame in trace.get("frames", [])]
    kept: dict[str, Any] = {name: exception[name] for name in ("type", "module", "mechanism") if name in exception}
    return {**kept, "value": masking.hide(str(exception.get("value", ""))), "stacktrace": {"frames": frames}}


def start(transport: Any = None) -> None:
    """Report unhandled errors of requests and of job handlers from now on. transport: in place of HTTP, for tests."""
    sentry_sdk.init(
        dsn=settings.SENTRY_DSN,
        environment=settings.SENTRY_ENVIRONMENT,
        before_send=mask,
        include_local_variables=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        traces_sample_rate=None,
        auto_session_tracking=False,
        transport=transport,
    )
    tracing.on_unexpected_error(sentry_sdk.capture_exception)
