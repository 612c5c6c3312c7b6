"""Traces for an OpenTelemetry collector; imported only when OTEL_EXPORTER_OTLP_ENDPOINT is set.

Each process has an exporter of its own, made with its first span: a thread or connection of a parent would be lost or
shared by a fork. The SDK reads the other OTEL_* variables itself (sampling, limits, headers).
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from multiprocessing.util import Finalize
from typing import Any

from django.conf import settings
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from jobs import tracing

KINDS = {kind.name.lower(): kind for kind in trace.SpanKind}
PROPAGATOR = TraceContextTextMapPropagator()


class OpenTelemetry:
    """The `jobs.tracing.Tracing` of this site. processor: makes what receives the ended spans of a process."""

    def __init__(self, processor: Callable[[], SpanProcessor]) -> None:
        self._make_processor = processor
        self._tracer: trace.Tracer | None = None
        os.register_at_fork(after_in_child=self._forget)

    @contextmanager
    def span(
        self, name: str, kind: str, parent: str, links: Iterable[str], attributes: dict[str, Any]
    ) -> Iterator[trace.Span]:
        """Make a span the present one."""
        contexts = (trace.get_current_span(_context_of(link)).get_span_context() for link in links if link)
        with self._get_tracer().start_as_current_span(
            name,
            context=_context_of(parent) if parent else None,
            kind=KINDS[kind],
            attributes=attributes,
            links=[trace.Link(context) for context in contexts if context.is_valid],
            record_exception=False,  # its text may hold an address
            set_status_on_exception=False,
        ) as span:
            yield span

    def traceparent(self) -> str:
        """Return the present span's context."""
        carrier: dict[str, str] = {}
        PROPAGATOR.inject(carrier)
        return carrier.get("traceparent", "")

    def fail(self, error_class: str) -> None:
        """Mark the present span as failed."""
        span = trace.get_current_span()
        span.set_attribute("error.type", error_class)
        span.set_status(trace.StatusCode.ERROR)

    def _get_tracer(self) -> trace.Tracer:
        if self._tracer is None:
            resource = Resource.create({"service.name": settings.OTEL_SERVICE_NAME})
            provider = TracerProvider(resource=resource)
            provider.add_span_processor(self._make_processor())
            Finalize(None, provider.shutdown, exitpriority=1)  # a worker's end exports its last spans
            self._tracer = provider.get_tracer("notifier")
        return self._tracer

    def _forget(self) -> None:
        self._tracer = None


def _context_of(traceparent: str) -> Context:
    """Return the context that a traceparent names; an empty one for any other text."""
    return PROPAGATOR.extract({"traceparent": traceparent}, context=Context())


def start() -> None:
    """Trace this process and those that it forks."""
    tracing.use(OpenTelemetry(lambda: BatchSpanProcessor(OTLPSpanExporter())))
