"""The header Content-Security-Policy is built once, and is the one that django-csp would build for each response."""

import pytest
from csp.constants import HEADER
from csp.decorators import csp_exempt, csp_update
from csp.middleware import CSPMiddleware
from django.http import HttpResponse
from django.test import RequestFactory

from notifier.web.content_policy import ContentPolicy


def plain(request):
    return HttpResponse()


def own(request):
    return HttpResponse(headers={HEADER: "sandbox"})


def nonce(request):
    return HttpResponse(str(request.csp_nonce))


VIEWS = {
    "a page": plain,
    "a page with a policy of its own": own,
    "a page whose policy has more": csp_update({"img-src": ["data:"]})(plain),
    "a page without a policy": csp_exempt()(plain),
}


def parts(middleware, view) -> set[str]:
    """The directives of the response to a request, whose order has no meaning."""
    policy = middleware(view)(RequestFactory().get("/")).get(HEADER, "none")
    return set(policy.split("; "))


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("view", VIEWS.values(), ids=list(VIEWS))
def test_the_header_is_the_same(settings, view, debug):
    settings.DEBUG = debug
    assert parts(ContentPolicy, view) == parts(CSPMiddleware, view)


def test_a_page_may_use_a_nonce():
    request = RequestFactory().get("/")
    assert len(ContentPolicy(nonce)(request).content) > 20
