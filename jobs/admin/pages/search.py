"""The list's filters as a POST: they become the address of the list, in which no email address ever appears."""

from django.contrib import messages
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Left, Lower
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _

from jobs.admin.parts import paging
from jobs.admin.parts.filters import JobFilter
from jobs.core import masking
from jobs.core.job import JobLog
from jobs.core.job_types import RECIPIENT_LENGTH, recipient_keys


def search_jobs(request: HttpRequest) -> HttpResponse:
    """POST the list's filters: redirect to the list that they choose.

    An address in `q` becomes user ids and never appears in a URL.
    """
    form = JobFilter(request.POST)
    sought = request.POST.get("q", "").strip()[:RECIPIENT_LENGTH].replace("\x00", "")
    if "@" not in sought:
        return _to_list(form.link(q=sought or None))
    try:
        with paging.time_limit():
            users, job_id = _sent_to(sought)
    except paging.TooBroad:
        messages.error(request, _("The search took too long and was stopped."))
        return _to_list(form.link(q=None))
    if not users and not job_id:
        messages.warning(request, _("No job has exactly this address."))
        return _to_list(form.link(q=None))
    messages.info(request, _("Found by the address %s.") % masking.abbreviate(sought))
    return _to_list(form.link(q=job_id or None, user=users))


def _to_list(query: str) -> HttpResponse:
    address = reverse("admin:jobs_joblog_changelist")
    return HttpResponseRedirect(f"{address}?{query}" if query else address)


def _sent_to(address: str) -> tuple[list[str], str]:
    """Return the users whose latest jobs have this recipient; else ([], the id of the latest job, "" without one).

    There is only a job id when another site uses addresses as user ids.
    """
    latest: list[tuple[str, str]] = []
    for key in recipient_keys():
        sent = JobLog.objects.annotate(recipient=Lower(Left(KeyTextTransform(key, "payload"), RECIPIENT_LENGTH)))
        latest += sent.filter(recipient=address.lower()).order_by("-pk").values_list("user_id", "job_id")[:200]
    users = sorted({user_id for user_id, _ in latest if "@" not in user_id})[:20]
    return users, "" if users or not latest else latest[0][1]
