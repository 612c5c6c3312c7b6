"""The first steps on the overview, and the buttons that test them."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from jobs.admin.panels import present, registry
from jobs.admin.panels.registry import Panel, Place, View
from jobs.core import audit
from notifier.ops.checks.findings import Text, Verdict, translate
from notifier.ops.first_use.checklist import BACKUP, SLOW_CHECKS, decide, load_steps, run_check, target_of

LEVELS = {
    Verdict.OK: messages.SUCCESS,
    Verdict.UNKNOWN: messages.WARNING,
    Verdict.WARNING: messages.WARNING,
    Verdict.FAULT: messages.ERROR,
}
LONGEST = 500  # characters of a finding that the audit keeps


def load(view: View) -> dict[str, Any] | None:
    """Return the steps for the overview of those who install the site; None when all are done."""
    if not view.request.user.is_superuser:
        return None
    steps = load_steps(present.load(view.request))
    left = sum(step.is_open for step in steps)
    return {"steps": steps, "left": left, "all": len(steps)} if left else None


@require_POST
def test(request: HttpRequest) -> HttpResponse:
    """Run the test that the POSTed `test` names, record its result in the audit, and show it."""
    if not request.user.is_superuser:
        raise PermissionDenied
    name = request.POST.get("test", "")
    who = request.user.get_username()
    if name == BACKUP:
        audit.record(who, audit.AuditEntry.Act.CHECK, target_of(name), verdict=Verdict.OK)
        messages.success(request, _("Recorded: a backup was restored as a test."))
    elif name in SLOW_CHECKS:
        findings = run_check(name)
        worst = decide(name, findings)
        found = f"{worst.check}: {worst.message}"[:LONGEST]
        text = worst.message
        parts = {"check": worst.check, "msgid": text.msgid, "values": text.values} if isinstance(text, Text) else {}
        audit.record(who, audit.AuditEntry.Act.CHECK, target_of(name), verdict=worst.verdict, found=found, **parts)
        for finding in findings:
            check, message, action = map(translate, (finding.check, finding.message, finding.action))
            messages.add_message(request, LEVELS[finding.verdict], f"{check}: {message}. {action}".strip())
    else:
        raise Http404
    return HttpResponseRedirect(reverse("admin:index"))


registry.register(Panel((Place.FIRST,), "admin/first_use/steps.html", load))
