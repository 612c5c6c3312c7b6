"""Traces by OpenTelemetry. While they are off, nothing of OpenTelemetry is imported, and no span is made.

A job carries the context of the span that enqueued it (`JobLog.traceparent`, W3C Trace Context). So one trace holds
the request, the enqueue, the worker, the email and the events that follow. A span never holds a text of an error, an
address, a name or a path (P8).
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol

TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class Tracing(Protocol):
    """What makes spans, see `span` and `traceparent`."""

    def span(self, name: str, kind: str, parent: str, links: Iterable[str], attributes: dict[str, Any]) -> Any: ...
    def traceparent(self) -> str: ...
    def fail(self, error_class: str) -> None: ...


_tracing: Tracing | None = None
reporters: list[Callable[[BaseException], object]] = []
NOTHING: AbstractContextManager[None] = nullcontext()


def use(tracing: Tracing | None) -> None:
    """Make spans with `tracing` from now on; None: no longer."""
    global _tracing
    _tracing = tracing


def is_on() -> bool:
    """Return whether spans are made."""
    return _tracing is not None


def span(
    name: str, kind: str, *, parent: str = "", links: Iterable[str] = (), **attributes: Any
) -> AbstractContextManager[Any]:
    """Return a context that is a span; nothing when tracing is off.

    kind: "server", "client", "producer", "consumer" or "internal". parent, links: traceparents; without a parent, the
    present span is the parent. attributes: named with "__" for "."; None for none.
    """
    if _tracing is None:
        return NOTHING
    named = {key.replace("__", "."): value for key, value in attributes.items() if value is not None}
    return _span(_tracing, name, kind, parent, links, named)


@contextmanager
def _span(
    tracing: Tracing, name: str, kind: str, parent: str, links: Iterable[str], named: dict[str, Any]
) -> Iterator[Any]:
    with tracing.span(name, kind, parent, links, named) as made:
        try:
            yield made
        except Exception as error:
            tracing.fail(str(getattr(error, "error_class", type(error).__name__)))
            raise


def traceparent() -> str:
    """Return the context of the present span; "" when there is none, or tracing is off."""
    return _tracing.traceparent() if _tracing else ""


def fail(error_class: str) -> None:
    """Mark the present span as failed."""
    if _tracing:
        _tracing.fail(error_class)


def is_traceparent(text: str) -> bool:
    """Return whether a text is a traceparent of version 00."""
    return bool(TRACEPARENT.fullmatch(text))


def on_unexpected_error(report: Callable[[BaseException], object]) -> None:
    """Call `report` with each error of a handler that no class of errors describes."""
    reporters.append(report)


def report_unexpected(error: BaseException) -> None:
    """Report an error that is a fault of the code."""
    for report in reporters:
        report(error)
