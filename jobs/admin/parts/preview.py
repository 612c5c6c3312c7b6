"""The email of a job, from masked data, in a frame without scripts, links and forms."""

from copy import copy
from dataclasses import dataclass

import structlog
from django.conf import settings
from django.http import Http404, HttpResponse

from jobs.core import job_types, masking
from jobs.core.job import JobLog

log = structlog.get_logger("jobs.admin")

# The email's own styles are inline by need. Everything else is off: scripts, forms, links, remote images.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; frame-ancestors 'self'"


@dataclass(frozen=True)
class Preview:
    language: str
    subject: str
    text: str
    html: str


def render_preview(job: JobLog, language: str) -> Preview | None:
    """Render the email of `job` from masked data; None when there is none."""
    kind = job_types.get_or_none(job.job_type)
    if kind is None or kind.presentation.preview is None:
        return None
    masked = copy(job)
    masked.payload = masking.abbreviate_payload(job.payload, kind.presentation.name_keys)
    try:
        return Preview(language, *kind.presentation.preview(masked, language))
    except Exception as error:  # hostile or outdated data: the page must still show the job
        log.warning("email cannot be shown", job_id=job.job_id, error=type(error).__name__)
        return None


def languages() -> list[str]:
    """Return the codes of the languages that emails are shown in."""
    return [code for code, _name in settings.LANGUAGES]


def render_all(job: JobLog) -> list[Preview]:
    """Render the email in each language; empty when there is none."""
    return [mail for language in languages() if (mail := render_preview(job, language))]


def preview_response(job: JobLog, language: str, part: str) -> HttpResponse:
    """Return the document inside the frame; part: "html" or "text". Raises Http404."""
    mail = render_preview(job, language) if language in languages() and part in ("html", "text") else None
    if mail is None:
        raise Http404
    return frame_response(mail.html if part == "html" else mail.text, part)


def frame_response(document: str, part: str) -> HttpResponse:
    """Return a document of others for a frame of a page; part: "html" or "text"."""
    kind = "text/html" if part == "html" else "text/plain"
    response = HttpResponse(document, content_type=f"{kind}; charset=utf-8")
    response["Content-Security-Policy"] = POLICY
    response["X-Frame-Options"] = "SAMEORIGIN"
    response["Cache-Control"] = "no-store"
    return response
