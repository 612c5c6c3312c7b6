"""A sign-in, as a site reports it."""

import ipaddress
import re
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timezone

Locale = str
UNKNOWN_ADDRESS = "0.0.0.0"  # noqa: S104  (the API's word for an address that the site does not know)
MAX_NAME, MAX_PROVIDER, MAX_USER_AGENT = 200, 64, 1000
JOB_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
SURROGATES = re.compile(r"[\ud800-\udfff]")


def _new_job_id() -> str:
    return f"signin-{uuid.uuid4()}"


def _now() -> datetime:
    return datetime.now(timezone.utc)


@dataclass(frozen=True, kw_only=True)
class SignIn:
    """One sign-in. Raise ValueError or TypeError for a field that only a mistake in your code can cause.

    Text that a browser or a user controls (name, user_agent, ip_address) is never refused: what the API would not
    accept is removed, so that a hostile header loses no notice.
    """

    user_id: str
    """Your user's id: the same at every sign-in, 1 to 128 characters."""

    email: str
    """The address that gets the email, in ASCII."""

    name: str = ""
    """The name with which the email greets the user."""

    provider: str = "password"
    """How the user signed in: "password", "github", "google" and so on."""

    ip_address: str = UNKNOWN_ADDRESS
    """The browser's IP address."""

    user_agent: str = ""
    """The browser's User-Agent header."""

    timestamp: datetime = field(default_factory=_now)
    """When the user signed in, with a time zone."""

    job_id: str = field(default_factory=_new_job_id)
    """The idempotency key: however often this object is sent, the user gets one email."""

    locale: Locale | None = None
    """The language of the email, "mn", "en" or another that Notifier has; the site's own without one."""

    timezone: str | None = None
    """The IANA name of the zone for times in the email; the site's own without one."""

    device_id: str | None = None
    """An opaque id of the browser, 1 to 128 characters; keep it in a cookie. Notifier stores only a keyed hash."""

    def __post_init__(self) -> None:
        for name in ("user_id", "email", "name", "provider", "ip_address", "user_agent", "job_id"):
            if not isinstance(getattr(self, name), str):
                raise TypeError(f"{name} must be text")
        for name in ("user_id", "device_id"):
            _check_id(name, getattr(self, name))
        if not JOB_ID.fullmatch(self.job_id):
            raise ValueError("job_id must be 1 to 128 of A-Z a-z 0-9 . _ : -")
        if self.timestamp.utcoffset() is None:
            raise ValueError("timestamp must have a time zone")

    def to_json(self) -> dict[str, str]:
        """Return the body of the API's call."""
        optional = {"locale": self.locale, "timezone": self.timezone, "deviceId": self.device_id}
        return {
            "userId": self.user_id,
            "email": self.email,
            "name": _clean(self.name)[:MAX_NAME],
            "provider": _clean_provider(self.provider),
            "ipAddress": _clean_address(self.ip_address),
            "userAgent": _clean(self.user_agent)[:MAX_USER_AGENT],
            "timestamp": self.timestamp.astimezone(timezone.utc).isoformat(),
            "jobId": self.job_id,
            **{name: value for name, value in optional.items() if value is not None},
        }


def _check_id(name: str, value: str | None) -> None:
    if value is None:
        return
    if not isinstance(value, str):
        raise TypeError(f"{name} must be text")
    if not 1 <= len(value) <= 128 or CONTROLS.search(value) or SURROGATES.search(value):
        raise ValueError(f"{name} must be 1 to 128 characters without control characters")


def _clean(text: str) -> str:
    """Return the text without control characters and halves of surrogate pairs."""
    return SURROGATES.sub("", CONTROLS.sub(" ", text)).strip()


def _clean_provider(text: str) -> str:
    """Return a provider that the API accepts: other characters become a hyphen; "unknown" when none is left."""
    return re.sub(r"[^A-Za-z0-9 ._-]+", "-", text).lstrip(" ._-")[:MAX_PROVIDER] or "unknown"


def _clean_address(text: str) -> str:
    """Return an IP address without brackets, port and zone; 0.0.0.0 for anything else."""
    text = text.strip()
    bracketed = re.fullmatch(r"\[([^\]]*)\](?::[0-9]+)?", text)
    with_port = re.fullmatch(r"([0-9.]+):[0-9]+", text)
    match = bracketed or with_port
    try:
        return str(ipaddress.ip_address((match[1] if match else text).partition("%")[0]))
    except ValueError:
        return UNKNOWN_ADDRESS
