"""Logging: structlog renders every line, as JSON outside DEBUG, with personal data masked.

One chain of processors serves structlog's loggers and those of the standard library (Django, django-q2, gunicorn), so
that the lines of all processes have the same form. structlog's loggers bypass the standard library: its records doubled
the cost of a line, and a worker writes two lines for each email.
"""

import json
import logging
import sys
from contextlib import suppress
from typing import Any

import structlog
from structlog.typing import EventDict, Processor

from jobs.log_lines import mask_event

CLIENT_LOGGERS = ("django.request", "django.security", "django.server")  # their lines end with text from the client


def hide_path(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Remove the client's text (a path or host after the colon) from Django's own lines.

    A path may contain a token, so the matched URL pattern is logged instead.
    """
    record = event.get("_record")
    if record is not None and record.name.startswith(CLIENT_LOGGERS):
        match = getattr(getattr(record, "request", None), "resolver_match", None)
        event["route"] = match.route if match else "unknown"
        event["event"] = str(event["event"]).partition(": ")[0]
        if record.name.startswith("django.security"):  # its traceback repeats the client's text
            event.pop("exception", None)
    return event


class Lines(structlog.WriteLogger):
    """Writes the lines of the logger `name` to standard error, unbuffered.

    A line that cannot be written is dropped, as the standard library's loggers do: no work stops when the reader of
    the output has exited.
    """

    def __init__(self, name: str) -> None:
        super().__init__(sys.stderr)
        self.name = name

    def msg(self, message: str) -> None:
        with suppress(OSError, ValueError):  # ValueError: the stream is closed
            super().msg(message)

    debug = info = warning = error = critical = exception = msg


def render_json(_logger: Any, _method: str, event: EventDict) -> str:
    """Return a masked event as JSON. structlog's renderer makes an encoder for each line, as `json.dumps` does."""
    return _encode(event)


_encode = json.JSONEncoder(default=repr).encode
SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
    structlog.processors.format_exc_info,
]


def logging_config(debug: bool) -> dict[str, Any]:
    """Configure structlog and return the LOGGING setting (dictConfig). `debug`: readable lines instead of JSON."""
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False  # no line contains them
    renderer = structlog.dev.ConsoleRenderer(colors=False) if debug else render_json
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
            "django": {},  # without its own handler, which would repeat every line
            "django-q": {"level": "WARNING"},  # it logs every message; ours log what matters
            "gunicorn.error": {"propagate": True},
            "mail.log": {"level": "WARNING"},  # aiosmtpd
        },
    }
