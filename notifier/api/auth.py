"""Authentication of the API (API keys and staff sessions) and its rate limit."""

from dataclasses import dataclass

import structlog
from django.conf import settings
from django.http import HttpRequest
from ninja.security import HttpBearer
from ninja.security.apikey import APIKeyCookie
from ninja.utils import check_csrf

from accounts.factors import staff
from accounts.sign_in.ratelimit import network_of
from accounts.sites.keys import ApiKey, Scope
from accounts.sites.site import Site
from jobs.core.job import JobLog
from notifier.api.problems import Problem
from notifier.web import rate_limit

log = structlog.get_logger("notifier.api")


@dataclass(frozen=True)
class Caller:
    """The authenticated client of a request."""

    who: str  # its name in the audit log
    source: str | None  # the source of its own jobs; None for staff
    admin: bool  # whether it may read every job
    site: Site | None = None  # of its key; None for staff

    def may_see(self, job: JobLog) -> bool:
        """Return whether the caller may read the job."""
        return self.admin or job.source == self.source


def caller_of(request: HttpRequest) -> Caller:
    """Return the caller that authentication found."""
    return request.auth  # type: ignore[attr-defined]


def site_of(caller: Caller) -> Site:
    """Return the site of the caller's key. Raise Problem for staff, who belong to none."""
    if caller.site is None:
        raise Problem("forbidden", "Only the key of a site may do this.")
    return caller.site


class BearerKey(HttpBearer):
    """Accepts a valid key with one of the scopes.

    An invalid key gets 401, one without the scope 403, and one with too many requests 429.
    """

    def __init__(self, *scopes: Scope) -> None:
        super().__init__()
        self.scopes = set(scopes)

    def __call__(self, request: HttpRequest) -> Caller | None:
        """Replace ninja's method, which logs an unknown scheme in DEBUG: the header may hold a key."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        return self.authenticate(request, token.strip()) if scheme.lower() == "bearer" else None

    def authenticate(self, request: HttpRequest, token: str) -> Caller | None:
        key = ApiKey.objects.find(token)
        if key is None:
            return None
        request.api_key = key.pk  # type: ignore[attr-defined]  # for notifier.middleware
        count_request("key", str(key.pk))
        if not self.scopes & set(key.scopes):
            raise Problem("forbidden", f"The key needs the scope {' or '.join(sorted(self.scopes))}.")
        key.used()
        return Caller(who=f"key:{key.name}", source=key.site.slug, admin=Scope.ADMIN in key.scopes, site=key.site)


class StaffSession(APIKeyCookie):
    """Accepts a signed-in staff member with the permission. Requests that change data need the CSRF token."""

    param_name = settings.SESSION_COOKIE_NAME

    def __init__(self, permission: str) -> None:
        super().__init__()
        self.permission = permission

    def __call__(self, request: HttpRequest) -> Caller | None:
        user = getattr(request, "user", None)
        if "Authorization" in request.headers or user is None or not staff.is_staff(request):
            return None
        count_request("staff", str(user.pk))
        if not staff.may_administer(request):
            raise Problem("forbidden", "Staff need a second factor. Sign in at /admin/, which asks for it.")
        if check_csrf(request):
            raise Problem("csrf-failed")
        if not user.has_perm(self.permission):
            raise Problem("forbidden", f"The account needs the permission {self.permission}.")
        return Caller(who=user.get_username(), source=None, admin=True)

    def authenticate(self, request: HttpRequest, key: str | None) -> None:
        """Do nothing: ninja requires this method, but `__call__` decides."""


def refuse(request: HttpRequest) -> None:
    """Refuse a caller that no other authenticator accepted: 401, or 429 after too many requests."""
    count_request("address", network_of(request.META.get("REMOTE_ADDR", "")))
    raise Problem("unauthenticated")


def count_request(group: str, client: str) -> None:
    """Count one request of a client in `group`.

    Raises Problem 429 when API_RATE is used up. A request that cannot be counted is accepted.
    """
    try:
        wait = rate_limit.requests.count(f"{group}:{client}", settings.API_RATE)
    except rate_limit.CacheAway as away:
        log.warning("cache away, request not counted", error=str(away))
        return
    if wait:
        raise Problem("too-many-requests", retry_after=wait)
