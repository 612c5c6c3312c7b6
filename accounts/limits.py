"""How often one may try to sign in: by account name and by address, with django-ratelimit.

Counted in the default cache, exactly and for all processes together. A cache that is out of order limits nothing:
no sign-in fails because of it.
"""

import ipaddress
from collections.abc import Callable
from functools import wraps

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django_ratelimit.core import is_ratelimited

log = structlog.get_logger("accounts")

View = Callable[..., HttpResponseBase]
IPV6_PREFIX = 64
NAMES = ("login", "username", "email")  # the form fields that name an account


def by_name(_group: str, request: HttpRequest) -> str:
    """The account that a form names, however it is written."""
    return next((name for field in NAMES if (name := request.POST.get(field, "").strip().casefold())), "")


def by_address(_group: str, request: HttpRequest) -> str:
    """The address the site sees; of IPv6 the network, which is what one household or host is given."""
    address = ipaddress.ip_address(request.META.get("REMOTE_ADDR", ""))
    prefix = IPV6_PREFIX if address.version == 6 else address.max_prefixlen
    return str(ipaddress.ip_network((address, prefix), strict=False))


def limited(group: str, *, per_name: bool = True) -> Callable[[View], View]:
    """Decorator for a view with a form: over the limit a POST gets the page 429, and nothing else happens.

    group: what is counted together. per_name: whether the form names an account that is counted as well.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapped(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
            if request.method == "POST" and _over(request, group, per_name):
                response = render(request, "429.html", status=429)
                response["Retry-After"] = "300"
                return response
            return view(request, *args, **kwargs)

        return wrapped

    return decorate


def _over(request: HttpRequest, group: str, per_name: bool) -> bool:
    try:
        over = False
        if request.META.get("REMOTE_ADDR"):  # a unix socket of an untrusted proxy tells none
            rate = settings.SIGN_IN_RATE_PER_ADDRESS
            over = is_ratelimited(request, group, key=by_address, rate=rate, increment=True)
        if per_name and by_name(group, request):
            rate = settings.SIGN_IN_RATE_PER_NAME
            over |= is_ratelimited(request, f"{group}:name", key=by_name, rate=rate, increment=True)
    except Exception:  # whatever a cache that is out of order raises: the person may try
        log.exception("sign-in attempts cannot be counted")
        return False
    return over
