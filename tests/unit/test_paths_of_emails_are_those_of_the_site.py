"""The paths in emails, which workers resolve without the site's views, are the paths of the site's pages."""

import uuid

import pytest
from django.urls import reverse

from accounts.links import paths

ARGUMENTS = {
    "activity": {},
    "preferences": {},
    "dispute": {"token": "a:b-c_d"},
    "unsubscribe_site": {"token": "a:b-c_d"},
    "unsubscribe": {"token": "a:b-c_d"},
    "cancel_request": {"token": "a:b-c_d"},
    "lost_factor": {"token": "a:b-c_d"},
    "account_confirm_email": {"key": "MQ:1a:b-c_d"},
    "account_reset_password_from_key": {"uidb36": "1z", "key": "c0ffee-0123"},
    "admin:accounts_signin_changelist": {},
    "admin:accounts_signin_change": {"object_id": str(uuid.UUID(int=7))},
    "api:openapi-view": {},
    "developers": {},
}


def known(patterns, prefix=""):
    """The names of URL patterns, with their namespaces."""
    for pattern in patterns:
        if hasattr(pattern, "url_patterns"):
            namespace = f"{pattern.namespace}:" if pattern.namespace else ""
            yield from known(pattern.url_patterns, prefix + namespace)
        else:
            yield prefix + pattern.name


def test_each_name_is_compared():
    assert sorted(known(paths.urlpatterns)) == sorted(ARGUMENTS)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_the_path_is_the_sites(name):
    given = ARGUMENTS[name]
    assert reverse(name, "accounts.links.paths", kwargs=given) == reverse(name, kwargs=given)
    assert paths.path_of(name, *given.values()) == reverse(name, kwargs=given)


def test_a_name_that_is_not_of_an_email_is_the_sites_too():
    assert paths.path_of("account_login") == reverse("account_login")
