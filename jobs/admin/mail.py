"""The mail of a job as it was or will be, in a frame that can do nothing. Its personal data is masked."""

from copy import copy
from dataclasses import dataclass

import structlog
from django.http import Http404, HttpResponse

from jobs import registry
from jobs.admin import masking
from jobs.models import JobLog

log = structlog.get_logger("jobs.admin")

LANGUAGES = ("mn", "en")
# The mail's own styles are inline by need; everything else is off, scripts, forms, links and remote images included.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; frame-ancestors 'self'"


@dataclass(frozen=True)
class Mail:
    language: str
    subject: str
    text: str
    html: str


def render(job: JobLog, language: str) -> Mail | None:
    """The mail of `job` in `language`, from masked data; None when its type makes none or the data cannot be used."""
    kind = registry.find(job.job_type)
    if kind is None or kind.preview is None:
        return None
    masked = copy(job)
    masked.payload = masking.payload(job.payload, kind.names)
    try:
        return Mail(language, *kind.preview(masked, language))
    except Exception as error:  # hostile or outdated data: the page must show the job all the same
        log.warning("mail cannot be shown", job_id=job.job_id, error=type(error).__name__)
        return None


def subjects(job: JobLog) -> list[Mail]:
    """The mail in each language; empty when there is none to show."""
    return [mail for language in LANGUAGES if (mail := render(job, language))]


def frame(job: JobLog, language: str, part: str) -> HttpResponse:
    """The document inside the frame: part is "html" or "text". Raises Http404 when there is none."""
    mail = render(job, language) if language in LANGUAGES and part in ("html", "text") else None
    if mail is None:
        raise Http404
    kind = "text/html" if part == "html" else "text/plain"
    response = HttpResponse(mail.html if part == "html" else mail.text, content_type=f"{kind}; charset=utf-8")
    response["Content-Security-Policy"] = POLICY
    response["X-Frame-Options"] = "SAMEORIGIN"
    response["Cache-Control"] = "no-store"
    return response
