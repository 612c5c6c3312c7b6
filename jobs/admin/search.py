"""Search by job id, user or address."""

from urllib.parse import urlencode

from django.contrib import messages
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Left
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _

from jobs.admin import paging
from jobs.models import LONGEST_ADDRESS, JobLog


def find(request: HttpRequest) -> HttpResponse:
    """POST `q`: an address becomes the people it belongs to, so that it never stands in a URL or a log."""
    sought = request.POST.get("q", "").strip()[:LONGEST_ADDRESS].replace("\x00", "")
    there = reverse("admin:jobs_joblog_changelist")
    if "@" not in sought:
        return HttpResponseRedirect(f"{there}?{urlencode({'q': sought})}" if sought else there)
    try:
        with paging.bounded():
            found = _sent_to(sought)
    except paging.TooBroad:
        messages.error(request, _("The search took too long and was ended."))
        return HttpResponseRedirect(there)
    if not found:
        messages.warning(request, _("No job has exactly this address."))
        return HttpResponseRedirect(there)
    return HttpResponseRedirect(f"{there}?{urlencode(found)}")


def _sent_to(address: str) -> list[tuple[str, str]]:
    """The list's parameters for the users whose latest jobs went to `address`; for the latest job alone when another
    site calls its users by their addresses."""
    sent = JobLog.objects.annotate(address=Left(KeyTextTransform("email", "payload"), LONGEST_ADDRESS))
    latest = list(sent.filter(address=address).order_by("-pk").values_list("user_id", "job_id")[:200])
    people = sorted({user_id for user_id, _ in latest if "@" not in user_id})[:20]
    return [("user", person) for person in people] or [("q", job_id) for _, job_id in latest[:1]]
