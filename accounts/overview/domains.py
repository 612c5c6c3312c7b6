"""The latest emails by receiving domain and outcome: a domain that refuses us shows at a glance."""

from typing import Any

from django.db.models import Count, F, QuerySet, Value
from django.db.models.functions import Lower, StrIndex, Substr

from jobs.admin.panels.latest import CONDITIONS, OUTCOMES, Cell, Latest, Line
from jobs.admin.panels.registry import View
from jobs.core import job_types
from jobs.core.job_reads import text_in_payload

TOP = 10


def load(view: View) -> dict[str, Any] | None:
    """Return a line for each of the domains with the most emails; None without any. One query."""
    lines = _lines(view.latest) if view.latest else []
    return {"lines": lines, "names": OUTCOMES.values()} if lines else None


def _lines(latest: Latest) -> list[Line]:
    return [
        Line(row["domain"], "", row["total"], [Cell(row[outcome]) for outcome in OUTCOMES])
        for row in _by_domain(latest)
    ]


def _by_domain(latest: Latest) -> QuerySet[Any, Any]:
    address = text_in_payload(job_types.recipient_keys())
    emails = latest.jobs().filter(job_type__in=job_types.mail_types()).annotate(address=address)
    counts = {outcome: Count("pk", filter=condition) for outcome, condition in CONDITIONS.items()}
    with_domain = emails.filter(address__contains="@").annotate(
        domain=Lower(Substr(F("address"), StrIndex(F("address"), Value("@")) + 1))
    )
    return with_domain.values("domain").annotate(total=Count("pk"), **counts).order_by("-total", "domain")[:TOP]
