"""The channels of alerts: email, a signed webhook, and the heartbeat. None of them needs the queue or the database."""

import base64
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from django.conf import settings

from accounts.alerts.words import describe
from accounts.events import request, signature
from accounts.mail import mime, rendering, smtp
from accounts.mail.addresses import deliverable
from accounts.mail.sanitize import mask_address
from accounts.secrecy.hashes import keyed_hashes
from jobs.alerts.channels import Alert, Channel, NotSent
from jobs.core.errors import JobError

SALT = "alert webhook"


@dataclass(frozen=True)
class Email:
    """An address of ALERT_TO."""

    number: int
    address: str = field(repr=False)

    @property
    def name(self) -> str:
        """The number of the address in ALERT_TO: the address itself is stored nowhere."""
        return f"email-{self.number}"

    @property
    def label(self) -> str:
        return mask_address(self.address)

    def send(self, alert: Alert) -> None:
        """Send the alert directly, without a job: the queue may be what is broken."""
        language = settings.LANGUAGE_CODE
        words = rendering.render_account_content("alert", language, describe(alert))
        try:
            to = deliverable(self.address)
            smtp.send_mail(mime.Mail(f"{alert.id}.{self.number}", to, language, *words, kind="alert"))
        except JobError as failed:
            raise NotSent(f"{failed.error_class}: {str(failed)[:200]}") from None
        except Exception as failed:  # of a backend that is not SMTP
            raise NotSent(type(failed).__name__) from None
        finally:
            smtp.close_connection()


@dataclass(frozen=True)
class Webhook:
    """The URL of ALERT_WEBHOOK. It is the operator's own, so it may be in a private network."""

    url: str = field(repr=False)
    name: str = "webhook"

    @property
    def label(self) -> str:
        return urlsplit(self.url).hostname or ""

    def send(self, alert: Alert) -> None:
        """POST the alert as JSON, with the headers of Standard Webhooks."""
        body = body_of(alert)
        headers = signature.headers_of(secrets_in_use(), alert.id, int(time.time()), body)
        _check(lambda: request.post(self.url, body, headers, allow_private=True))


def body_of(alert: Alert) -> bytes:
    """Return the body of the webhook, equal for every attempt."""
    words = describe(alert)
    data = {
        "alert": words["name"],
        "state": str(alert.notice) if alert.rule else "test",
        "severity": alert.rule.severity if alert.rule else "",
        "concerns": alert.subject,
        "since": alert.since.isoformat(),
        "summary": words["summary"],
        "action": words["action"],
        "runbook": words["runbook"],
        "url": words["url"],
        "site": settings.SITE_NAME,
    }
    state = {"type": f"alert.{data['state']}", "timestamp": alert.at.isoformat(), "data": data}
    text = "\n".join(filter(None, (f"{settings.SITE_NAME}: {words['title']}", words["summary"], words["action"])))
    return json.dumps({**state, "text": text}, ensure_ascii=False, separators=(",", ":")).encode()


def secrets_in_use() -> list[str]:
    """Return the `whsec_` secrets that sign: one made of SECRET_KEY, and one of each of SECRET_KEY_FALLBACKS."""
    return [signature.PREFIX + base64.b64encode(key).decode() for key in keyed_hashes(SALT, "secret")]


def channels_of_settings() -> Sequence[Channel]:
    """Return the webhook, then an email for each address."""
    webhook: list[Channel] = [Webhook(settings.ALERT_WEBHOOK)] if settings.ALERT_WEBHOOK else []
    return [*webhook, *(Email(number, address) for number, address in enumerate(settings.ALERT_TO, start=1))]


def ping_heartbeat() -> None:
    """Request HEARTBEAT_URL. Raise NotSent."""
    _check(lambda: request.get(settings.HEARTBEAT_URL, allow_private=True))


def heartbeat_is_on() -> bool:
    """Return whether HEARTBEAT_URL is set."""
    return bool(settings.HEARTBEAT_URL)


def _check(exchange: Callable[[], request.Response]) -> None:
    """Make an HTTP request; raise NotSent unless the answer is a success."""
    try:
        status = exchange().status
    except request.Failed as failed:
        raise NotSent(str(failed)) from None
    if not 200 <= status < 300:
        raise NotSent(f"the receiver answered {status}")
