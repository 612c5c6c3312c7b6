"""Pages of the local mailbox. The HTML of an email is untrusted, so it is shown in a sandboxed frame."""

import re

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_safe

from accounts.mail.providers.configured import configured
from notifier.dev.mailbox import MAX_EMAILS, Mail, Mailbox

SANDBOX = "allow-popups allow-popups-to-escape-sandbox"  # links open in a new tab; no scripts, no forms
POLICY = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; sandbox {SANDBOX}"
LINKS_OPEN_OUTSIDE = '<base target="_blank">'


@require_safe
def mailbox(request: HttpRequest) -> HttpResponse:
    """List all caught emails, the newest first."""
    shown = {"mails": list(_mailbox().envelopes()), "kept": MAX_EMAILS, "goes_to": _destination()}
    return render(request, "dev/mailbox.html", shown)


@require_safe
def mail(request: HttpRequest, name: str) -> HttpResponse:
    """Show one email: its HTML in a frame, its text and its headers."""
    return render(request, "dev/mail.html", {"mail": _mail_or_404(name), "may": SANDBOX})


@require_safe
@xframe_options_sameorigin
def html(request: HttpRequest, name: str) -> HttpResponse:
    """Return only the HTML part, for the frame."""
    shown = _mail_or_404(name).html
    if not shown:
        raise Http404("no HTML part")
    body, found = re.subn(r"(?i)<head[^>]*>", lambda head: head[0] + LINKS_OPEN_OUTSIDE, shown, count=1)
    response = HttpResponse(body if found else LINKS_OPEN_OUTSIDE + shown)
    response["Content-Security-Policy"] = POLICY
    return response


@require_safe
def raw(request: HttpRequest, name: str) -> HttpResponse:
    """Return the email as it arrived, as a download."""
    try:
        content = _mailbox().raw(name)
    except FileNotFoundError:
        raise Http404("no such email") from None
    disposition = {"Content-Disposition": f'attachment; filename="{name}.eml"'}
    return HttpResponse(content, content_type="message/rfc822", headers=disposition)


def _mailbox() -> Mailbox:
    return Mailbox(settings.MAILBOX_DIR)


def _mail_or_404(name: str) -> Mail:
    try:
        return _mailbox().mail(name)
    except FileNotFoundError:
        raise Http404("no such email") from None


def _destination() -> str:
    """Return the server or backend that email goes to instead of this mailbox; empty when it comes here."""
    if settings.MAIL_IS_CAUGHT:
        return ""
    first = configured()[0]
    return first.name if first.speaks_smtp else first.backend
