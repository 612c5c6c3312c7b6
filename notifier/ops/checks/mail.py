"""Checks of the mail server and of the DNS records of the senders' domains."""

from django.utils.translation import gettext_noop as _

from accounts.mail import smtp
from accounts.mail.providers.configured import Provider, configured
from jobs.core import masking
from jobs.core.errors import Configuration, JobError
from notifier.ops import dns_records
from notifier.ops.checks.findings import Finding, Findings, Text, Verdict

LOGIN = _("correct EMAIL_HOST_USER and EMAIL_HOST_PASSWORD")
EHLO = _("set EMAIL_EHLO_NAME to the full host name of this machine")
# Words of a refusal, and what to do about it; the first that matches counts.
ACTIONS = (
    ("certificate has expired", _("renew the certificate of the mail server")),
    ("certificate", _("check EMAIL_HOST; for a private authority set EMAIL_CA_FILE to its certificate")),
    ("authentica", LOGIN),
    ("refused the login", LOGIN),
    ("helo", EHLO),
    ("ehlo", EHLO),
    ("relay", _("set EMAIL_HOST_USER and EMAIL_HOST_PASSWORD, or let the mail server relay for this machine")),
    ("starttls", _("unset EMAIL_USE_TLS, or use the server's port for STARTTLS")),
    ("sender", _("set DEFAULT_FROM_EMAIL to an address that this login may use")),
)
CHECK_ALL = _("check EMAIL_HOST_USER, EMAIL_HOST_PASSWORD, EMAIL_USE_TLS, EMAIL_USE_SSL and DEFAULT_FROM_EMAIL")


def check_mail_server() -> Findings:
    """Try connection, TLS, login, sender and recipient of each provider on a separate connection. Send no email."""
    first, *others = configured()
    yield _probe(Text(_("mail server")), first, "EMAIL_HOST, EMAIL_PORT")
    for other in others:
        yield _probe(Text(_("second mail server")), other, "EMAIL_FALLBACK_URL")


def _probe(check: str, provider: Provider, place: str) -> Finding:
    """Probe one provider. place: the settings that name its host and port."""
    try:
        smtp.probe_server(provider)
    except Configuration as refused:
        values = {"server": provider.name, "code": str(refused.code or "?"), "error": _masked(refused)}
        message = Text(_("%(server)s responds and refuses our settings (code %(code)s): “%(error)s”"), **values)
        action = Text(_("check %(settings)s"), settings=place)
        if provider.name == configured()[0].name:
            action = Text(_advise(str(refused)))
        return Finding(check, Verdict.FAULT, message, action)
    except Exception as away:  # a probe must never end the other checks
        values = {"server": provider.name, "error": _masked(away)}
        message = Text(_("%(server)s cannot be reached or does not accept email now: “%(error)s”"), **values)
        action = Text(_("check %(settings)s and the firewalls on the way"), settings=place)
        return Finding(check, Verdict.FAULT, message, action)
    return Finding(check, Verdict.OK, Text(_("%(server)s accepts our settings and sender"), server=provider.name))


def _advise(refusal: str) -> str:
    return next((action for words, action in ACTIONS if words in refusal.lower()), CHECK_ALL)


def _masked(error: Exception) -> str:
    """Return an error's words for a terminal, with the addresses in them masked."""
    if not isinstance(error, JobError):
        return type(error).__name__
    return shorten(str(error))


def shorten(words: str) -> str:
    """Return a server's words for a terminal: short, masked and without control characters."""
    return masking.escape_controls(masking.abbreviate(words, 200))


def check_dns_records() -> Findings:
    """Look up SPF, DKIM and DMARC of the domains that emails are sent from."""
    verdicts = {None: Verdict.UNKNOWN, True: Verdict.OK, False: Verdict.WARNING}
    for record in dns_records.check_records():
        yield Finding(record.name, verdicts[record.present], record.message, record.action)
