"""Log lines: structlog renders them, JSON outside DEBUG, readable inside; personal data is masked in all of them.

One chain serves structlog's own loggers and the standard library's (Django, django-q2, gunicorn), so that
every line of every process has the same form. Ours do not go through the standard library: its records doubled the
cost of a line, and a worker writes two a mail.
"""

import logging
import sys
from contextlib import suppress
from typing import Any

import structlog
from structlog.typing import EventDict, Processor

from notifier import masking

PATHS = ("django.request", "django.security", "django.server")  # their lines end in something that a client sent


def mask_event(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """structlog processor: nothing personal and no secret in any field, tracebacks included (notifier/masking.py)."""
    return {key: masking.field(key, value) for key, value in event.items()}


def hide_path(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    """structlog processor for Django's own lines: what the client sent after the colon goes, a path or a host.

    The path may be a token; the pattern that it matched is told instead.
    """
    record = event.get("_record")
    if record is not None and record.name.startswith(PATHS):
        match = getattr(getattr(record, "request", None), "resolver_match", None)
        event["route"] = match.route if match else "unknown"
        event["event"] = str(event["event"]).partition(": ")[0]
        if record.name.startswith("django.security"):  # the trace of a refusal repeats what was refused
            event.pop("exception", None)
    return event


class Lines(structlog.WriteLogger):
    """Where the lines of the logger `name` go: to standard error, each at once. One that cannot be written is lost, as
    with the standard library's loggers: whoever reads may be gone, and no work stops over it."""

    def __init__(self, name: str) -> None:
        super().__init__(sys.stderr)
        self.name = name

    def msg(self, message: str) -> None:
        with suppress(OSError, ValueError):  # ValueError: it is closed
            super().msg(message)

    debug = info = warning = error = critical = exception = msg


SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
    structlog.processors.format_exc_info,
]


def logging_config(debug: bool) -> dict[str, Any]:
    """The LOGGING setting (dictConfig), and structlog set up to feed it.

    `debug`: readable lines instead of JSON.
    """
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False  # no line tells them
    renderer = structlog.dev.ConsoleRenderer(colors=False) if debug else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[*SHARED, mask_event, renderer],
        logger_factory=Lines,
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )
    formatter = {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": [*SHARED, hide_path],
        "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, mask_event, renderer],
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"structlog": formatter},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structlog"}},
        "root": {"handlers": ["stderr"], "level": "INFO"},
        "loggers": {
            "django": {},  # without its own handler, which would say everything twice
            "django-q": {"level": "WARNING"},  # a line for every message it moves; ours say what matters
            "gunicorn.error": {"propagate": True},
            "mail.log": {"level": "WARNING"},  # aiosmtpd
        },
    }
