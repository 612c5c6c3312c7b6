"""The pages of the local mailbox. A mail's HTML is a stranger's: it is shown in a frame that may do nothing."""

import re

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_safe

from notifier.dev.mailbox import KEPT, Mail, Mailbox

MAY = "allow-popups allow-popups-to-escape-sandbox"  # its links open in a new tab; no script, no form
POLICY = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; sandbox {MAY}"
LINKS_OPEN_OUTSIDE = '<base target="_blank">'


@require_safe
def mailbox(request: HttpRequest) -> HttpResponse:
    """All caught mails, the newest first."""
    shown = {"mails": list(_mailbox().envelopes()), "kept": KEPT, "goes_to": _goes_to()}
    return render(request, "dev/mailbox.html", shown)


@require_safe
def mail(request: HttpRequest, name: str) -> HttpResponse:
    """One mail: its HTML in a frame, its text, its headers."""
    return render(request, "dev/mail.html", {"mail": _mail_or_404(name), "may": MAY})


@require_safe
@xframe_options_sameorigin
def html(request: HttpRequest, name: str) -> HttpResponse:
    """The HTML part alone, for the frame."""
    shown = _mail_or_404(name).html
    if not shown:
        raise Http404("no HTML part")
    body, found = re.subn(r"(?i)<head[^>]*>", lambda head: head[0] + LINKS_OPEN_OUTSIDE, shown, count=1)
    response = HttpResponse(body if found else LINKS_OPEN_OUTSIDE + shown)
    response["Content-Security-Policy"] = POLICY
    return response


@require_safe
def raw(request: HttpRequest, name: str) -> HttpResponse:
    """The mail as it came, to keep."""
    try:
        content = _mailbox().raw(name)
    except FileNotFoundError:
        raise Http404("no such mail") from None
    disposition = {"Content-Disposition": f'attachment; filename="{name}.eml"'}
    return HttpResponse(content, content_type="message/rfc822", headers=disposition)


def _mailbox() -> Mailbox:
    return Mailbox(settings.MAILBOX_DIR)


def _mail_or_404(name: str) -> Mail:
    try:
        return _mailbox().mail(name)
    except FileNotFoundError:
        raise Http404("no such mail") from None


def _goes_to() -> str:
    """Where mail goes instead of here, if it does: a server or a backend."""
    if settings.MAIL_IS_CAUGHT:
        return ""
    if settings.EMAIL_BACKEND != settings.SMTP_BACKEND:
        return settings.EMAIL_BACKEND
    return f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}"
