"""Who calls the API: a key with its scopes, or a member of the staff in the browser. And how often."""

from dataclasses import dataclass

import structlog
from django.conf import settings
from django.http import HttpRequest
from django_ratelimit.core import get_usage
from ninja.security import HttpBearer
from ninja.security.apikey import APIKeyCookie
from ninja.utils import check_csrf
from redis.exceptions import RedisError

from jobs.api_keys import ApiKey, Scope
from jobs.models import JobLog
from notifier.api.problems import Problem

log = structlog.get_logger("notifier.api")


@dataclass(frozen=True)
class Caller:
    """who: as the audit log names it. source: whose jobs are its own; None for staff."""

    who: str
    source: str | None
    admin: bool

    def may_see(self, job: JobLog) -> bool:
        return self.admin or job.source == self.source


def caller_of(request: HttpRequest) -> Caller:
    """Who was let in."""
    return request.auth  # type: ignore[attr-defined]


class BearerKey(HttpBearer):
    """Lets a usable key with one of the scopes in. A wrong key gets 401, one without the scope 403, too many 429."""

    def __init__(self, *scopes: Scope) -> None:
        super().__init__()
        self.scopes = set(scopes)

    def __call__(self, request: HttpRequest) -> Caller | None:
        """Not ninja's own, which logs what it does not know in DEBUG: that may be a key."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        return self.authenticate(request, token.strip()) if scheme.lower() == "bearer" else None

    def authenticate(self, request: HttpRequest, token: str) -> Caller | None:
        key = ApiKey.objects.find(token)
        if key is None:
            return None
        count(request, "key", str(key.pk))
        if not self.scopes & set(key.scopes):
            raise Problem("forbidden", f"The key needs the scope {' or '.join(sorted(self.scopes))}.")
        key.used()
        return Caller(who=f"key:{key.name}", source=key.name, admin=Scope.ADMIN in key.scopes)


class StaffSession(APIKeyCookie):
    """Lets a signed-in member of the staff in who has the permission; what changes something needs the CSRF token."""

    param_name = settings.SESSION_COOKIE_NAME

    def __init__(self, permission: str) -> None:
        super().__init__()
        self.permission = permission

    def __call__(self, request: HttpRequest) -> Caller | None:
        user = getattr(request, "user", None)
        if "Authorization" in request.headers or not (user and user.is_active and user.is_staff):
            return None
        count(request, "staff", str(user.pk))
        if check_csrf(request):
            raise Problem("csrf-failed")
        if not user.has_perm(self.permission):
            raise Problem("forbidden", f"The account needs the permission {self.permission}.")
        return Caller(who=user.get_username(), source=None, admin=True)

    def authenticate(self, request: HttpRequest, key: str | None) -> None:
        """Not used: `__call__` decides."""


def refuse(request: HttpRequest) -> None:
    """The last in line: nobody knew the caller. 401, or 429 for an address that keeps trying."""
    count(request, "address", None)
    raise Problem("unauthenticated")


def count(request: HttpRequest, group: str, who: str | None) -> None:
    """Counts one request of `who` (None: of its address). Raises 429 when API_RATE is used up."""
    known = who is not None or not request.META.get("REMOTE_ADDR")
    try:
        usage = get_usage(
            request,
            group=f"api-{group}",
            key=(lambda *_: who or "-") if known else "ip",
            rate=settings.API_RATE,
            increment=True,
        )
    except RedisError as away:
        log.warning("redis away, requests are not counted", error=str(away))
        return
    if usage and usage["should_limit"]:
        raise Problem("too-many-requests", retry_after=max(1, usage["time_left"]))
