"""The filtered list as CSV, streamed page by page, so that its size costs no memory."""

import csv
import unicodedata
from collections.abc import Iterator
from typing import Any

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _

from jobs.admin.parts import paging
from jobs.admin.parts.filters import JobFilter
from jobs.core import masking

EXPORT_PAGE = 1_000  # jobs a query
EXPORT_LIMIT = 100_000  # jobs
EXPORT_COLUMNS: tuple[str, ...] = (
    "job_id",
    "job_type",
    "user_id",
    "source",
    "status",
    "dlq_reason",
    "error_class",
    "fingerprint",
)
EXPORT_COLUMNS += ("attempt_count", "max_attempts", "created_at", "run_at", "processed_at", "error")
PERSONAL = ("user_id", "error")
INVISIBLE = "\u115f\u1160\u2800\u3164\uffa0"  # letters and a symbol that are drawn as nothing


class Line:
    """A file for csv.writer that returns each line instead of writing it."""

    def write(self, line: str) -> str:
        """Return the line."""
        return line


def stream_csv(request: HttpRequest) -> HttpResponseBase:
    """GET: return the jobs of the list's query string as CSV.

    400 for an invalid filter.
    """
    form = JobFilter(request.GET)
    if not form.is_valid():
        return HttpResponse(_("A filter in this address is not valid."), status=400, content_type="text/plain")
    response = StreamingHttpResponse(_lines(form), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="jobs.csv"'
    return response


def _lines(form: JobFilter) -> Iterator[str]:
    writer, written, key = csv.writer(Line()), 0, None
    yield "\ufeff" + writer.writerow(EXPORT_COLUMNS)  # the mark makes spreadsheets read UTF-8
    oldest_first = form.cleaned_data["order"] == "oldest"
    while written < EXPORT_LIMIT:
        page = paging.load_page(
            form.jobs().only(*EXPORT_COLUMNS), oldest_first=oldest_first, after=key, size=EXPORT_PAGE
        )
        for job in page.jobs:
            yield writer.writerow([safe_cell(getattr(job, column), column in PERSONAL) for column in EXPORT_COLUMNS])
        written, key = written + len(page.jobs), page.next_key
        if key is None:
            return
    yield writer.writerow([_("cut off after %s jobs: narrow the filter") % EXPORT_LIMIT])


def safe_cell(value: Any, personal: bool) -> str:
    """Return a value as a cell: personal data masked, and never a formula."""
    if value is None:
        return ""
    if hasattr(value, "isoformat"):
        return value.isoformat()
    cell = masking.cut(str(value), masking.LONGEST_VALUE).replace("\r", " ")
    cell = masking.abbreviate(cell) if personal else cell
    return f"'{cell}" if _is_formula(cell) else cell


def _is_formula(cell: str) -> bool:
    """Return whether a spreadsheet may compute the cell; it skips white space and invisible characters."""
    if cell.startswith("\t"):
        return True
    first = next((char for char in cell if char not in INVISIBLE and unicodedata.category(char)[0] not in "ZCM"), "")
    return unicodedata.normalize("NFKC", first)[:1] in tuple("=+-@")
