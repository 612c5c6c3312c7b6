"""The filtered list as CSV, streamed page by page, so that its size costs no memory."""

import csv
from collections.abc import Iterator
from typing import Any

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _

from jobs.admin import masking, paging
from jobs.admin.filters import JobFilter

CHUNK = 1_000
MOST = 100_000
COLUMNS: tuple[str, ...] = (
    "job_id",
    "job_type",
    "user_id",
    "source",
    "status",
    "dlq_reason",
    "error_class",
    "fingerprint",
)
COLUMNS += ("attempt_count", "max_attempts", "created_at", "run_at", "processed_at", "error")
PERSONAL = ("user_id", "error")


class Line:
    """What csv.writer writes to: it hands each line back."""

    def write(self, line: str) -> str:
        return line


def stream(request: HttpRequest) -> HttpResponseBase:
    """GET with the list's query string. A filter that is not valid answers 400."""
    form = JobFilter(request.GET)
    if not form.is_valid():
        return HttpResponse(_("A filter in this address is not valid."), status=400, content_type="text/plain")
    response = StreamingHttpResponse(_lines(form), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="jobs.csv"'
    return response


def _lines(form: JobFilter) -> Iterator[str]:
    writer, told, key = csv.writer(Line()), 0, None
    yield "\ufeff" + writer.writerow(COLUMNS)  # the mark makes spreadsheets read UTF-8
    oldest_first = form.cleaned_data["order"] == "oldest"
    while told < MOST:
        page = paging.page(form.jobs().only(*COLUMNS), oldest_first=oldest_first, after=key, size=CHUNK)
        for job in page.jobs:
            yield writer.writerow([_cell(getattr(job, column), column in PERSONAL) for column in COLUMNS])
        told, key = told + len(page.jobs), page.next_key
        if key is None:
            return
    yield writer.writerow([_("cut after %s jobs: narrow the filter") % MOST])


def _cell(value: Any, personal: bool) -> str:
    """Masked where it may be personal, and never a formula to a spreadsheet."""
    if value is None:
        return ""
    if hasattr(value, "isoformat"):
        return value.isoformat()
    shown = masking.cut(str(value), masking.LONGEST_VALUE).replace("\r", " ")
    shown = masking.text(shown) if personal else shown
    return f"'{shown}" if shown.startswith(("=", "+", "-", "@", "\t")) else shown
