"""The staff page of every email: who may see it, what it lists, and the frame that shows one."""

import re

import pytest

from accounts.previews.registry import brands, variants_of
from accounts.sites.site import Site
from jobs.admin.parts.preview import POLICY
from jobs.core.job import THIS_SITE
from tests.support.languages import add_kazakh
from tests.support.operators import signed_in

pytestmark = [pytest.mark.django_db, pytest.mark.engine]
PAGE = "/admin/mails/"


def test_every_email_is_listed_with_its_subject_and_both_parts():
    client = signed_in("accounts.view_site")
    for site, brand in brands().items():
        page = client.get(PAGE, {"site": site, "language": "en"}).text
        names = re.findall(r"<li><code>([^<]+)</code>", page)
        assert names == [variant.name for variant in variants_of(brand)]
        assert page.count(f'href="/admin/mails/{site}/en/') == 2 * len(names)
        assert f"Sign-in from a new device - {brand.name_in('en')}</span>" in page


def test_an_email_is_shown_without_scripts_links_and_remote_images():
    client = signed_in("accounts.view_site")
    answer = client.get(f"{PAGE}own/mn/sign-in.new-device.password/html/")
    assert answer["Content-Security-Policy"] == POLICY
    assert answer["X-Frame-Options"] == "SAMEORIGIN"
    assert "Шинэ төхөөрөмжөөс" in answer.text
    text = client.get(f"{PAGE}example/en/site-dispute.device/text/")
    assert text["Content-Type"] == "text/plain; charset=utf-8"
    assert "Example Shop" in text.text
    page = client.get(PAGE).text
    assert re.search(r'<iframe name="mail"[^>]* sandbox src="/admin/mails/own/mn/sign-in.routine.password/html/"', page)


def test_a_language_that_is_added_is_listed(settings):
    add_kazakh(settings)
    page = signed_in("accounts.view_site").get(PAGE, {"language": "kk"}).text
    assert "Жаңа құрылғыдан кіру - Yellow Books" in page
    assert '<a href="?site=own&amp;language=kk" lang="kk" aria-current="page">Қазақ тілі</a>' in page


@pytest.mark.parametrize(
    "path",
    [
        "?site=nothing",
        "?language=kk",
        "own/mn/nothing/html/",
        "own/kk/way-back.github/html/",
        "nothing/mn/way-back.github/html/",
        "example/mn/way-back.github/html/",
        "own/mn/way-back.github/eml/",
        "own/mn/..%2f/html/",
    ],
)
def test_what_is_not_listed_is_not_found(path):
    assert signed_in("accounts.view_site").get(PAGE + path).status_code == 404


@pytest.mark.parametrize("path", ["", "own/mn/way-back.github/html/"])
def test_it_needs_the_permission_to_view_sites(path):
    assert signed_in("view_joblog").get(PAGE + path).status_code == 403


def test_the_page_of_a_site_leads_there():
    client = signed_in("accounts.view_site")
    page = client.get(f"/admin/accounts/site/{Site.objects.get(slug=THIS_SITE).pk}/change/").text
    assert f'href="{PAGE}"' in page
