"""The site's name on pages: Шар хуудас in Mongolian, Yellow Books in English, in the header and in the title."""

import re

import pytest
from django.test import Client

from tests.support.operators import EVERYTHING, signed_in

pytestmark = pytest.mark.django_db
NAMES = {"mn": "Шар хуудас", "en": "Yellow Books"}


def named(page, language):
    """Return the names of the site in the title and in the whole page."""
    html = page.content.decode()
    assert f'lang="{language}"' in html
    return re.search(r"<title>(.*?)</title>", html, re.DOTALL)[1], html


@pytest.mark.parametrize("language", NAMES)
@pytest.mark.parametrize("path", ["/", "/accounts/login/", "/accounts/signup/", "/developers/", "/no-such-page"])
def test_a_page_of_users_has_one_name(language, path):
    title, html = named(Client(headers={"accept-language": language}).get(path), language)
    assert NAMES[language] in title
    assert NAMES["en" if language == "mn" else "mn"] not in html


@pytest.mark.parametrize("language", NAMES)
@pytest.mark.parametrize("path", ["/admin/", "/admin/jobs/joblog/", "/admin/jobs/auditentry/"])
def test_so_has_a_page_of_operators(language, path):
    title, html = named(signed_in(*EVERYTHING, language=language).get(path), language)
    assert NAMES[language] in title
    assert NAMES[language] in re.search(r'<div id="site-name">(.*?)</div>', html, re.DOTALL)[1]
    assert NAMES["en" if language == "mn" else "mn"] not in html


def test_a_name_of_the_settings_is_that_of_both_languages_unless_there_are_two(settings):
    settings.SITE_NAME, settings.SITE_NAMES = "Blue Pages", {"mn": "Цэнхэр хуудас"}
    for language, name in (("en", "Blue Pages"), ("mn", "Цэнхэр хуудас")):
        assert name in named(Client(headers={"accept-language": language}).get("/"), language)[0]
