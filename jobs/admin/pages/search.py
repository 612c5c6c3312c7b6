"""Search by job id, user or address."""

from urllib.parse import urlencode

from django.contrib import messages
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Left, Lower
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _

from jobs.admin.parts import paging
from jobs.core import masking
from jobs.core.job import JobLog
from jobs.core.job_types import RECIPIENT_LENGTH, recipient_keys


def search_jobs(request: HttpRequest) -> HttpResponse:
    """POST `q`: redirect to the list of matching jobs.

    An address becomes user ids and never appears in a URL.
    """
    sought = request.POST.get("q", "").strip()[:RECIPIENT_LENGTH].replace("\x00", "")
    job_list = reverse("admin:jobs_joblog_changelist")
    if "@" not in sought:
        return HttpResponseRedirect(f"{job_list}?{urlencode({'q': sought})}" if sought else job_list)
    try:
        with paging.time_limit():
            found = _sent_to(sought)
    except paging.TooBroad:
        messages.error(request, _("The search took too long and was stopped."))
        return HttpResponseRedirect(job_list)
    if not found:
        messages.warning(request, _("No job has exactly this address."))
        return HttpResponseRedirect(job_list)
    shown = masking.abbreviate(sought)
    messages.info(request, _("Found by the address %s.") % shown)
    return HttpResponseRedirect(f"{job_list}?{urlencode(found)}")


def _sent_to(address: str) -> list[tuple[str, str]]:
    """Return the list's parameters for the users whose latest jobs have this recipient.

    When another site uses addresses as user ids, they are the parameters of the latest job.
    """
    latest: list[tuple[str, str]] = []
    for key in recipient_keys():
        sent = JobLog.objects.annotate(recipient=Lower(Left(KeyTextTransform(key, "payload"), RECIPIENT_LENGTH)))
        latest += sent.filter(recipient=address.lower()).order_by("-pk").values_list("user_id", "job_id")[:200]
    users = sorted({user_id for user_id, _ in latest if "@" not in user_id})[:20]
    return [("user", user_id) for user_id in users] or [("q", job_id) for _, job_id in latest[:1]]
