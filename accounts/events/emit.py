"""Events for other sites."""

from typing import Any


def emit(source: str, event_type: str, data: dict[str, Any], *, key: str) -> None:
    """Enqueue an event."""
