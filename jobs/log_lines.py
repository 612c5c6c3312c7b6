"""Log lines of the queue in a project that does not configure structlog: by the standard library, and masked."""

from typing import Any

import structlog
from structlog.typing import EventDict

from jobs.core import masking


def mask_event(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Mask personal data and secrets in every field, tracebacks included (jobs/core/masking.py)."""
    return {key: masking.hide_field(key, value) for key, value in event.items()}


def configure() -> None:
    """Send structlog's lines to the loggers of the standard library, below `jobs`, unless the project configured it."""
    if structlog.is_configured():
        return
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.processors.format_exc_info,
            mask_event,
            structlog.processors.KeyValueRenderer(key_order=["event"]),
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
