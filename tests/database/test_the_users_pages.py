"""The front page, the help page and the bar: what they show, to whom, at what cost."""

import re
from html import unescape

import pytest
from django.test import Client
from django.utils import timezone

from accounts.links import dispute_links
from accounts.mail import rendering
from accounts.notices.sign_in import SignInNotice
from accounts.pages import front
from tests.support.people import last, person, signed_in_browser, text_of

pytestmark = pytest.mark.django_db
EN = {"accept-language": "en"}
SECURITY, EMAILS = "/accounts/security/", "/accounts/notices/"


@pytest.fixture
def bat():
    return person()


@pytest.fixture
def here(bat):
    return signed_in_browser()


@pytest.mark.parametrize("path", ["/", "/help/"])
@pytest.mark.parametrize("language", ["en", "mn"])
def test_the_example_has_the_words_of_a_real_email(client, path, language):
    page = client.get(path, headers={"accept-language": language}).content.decode()
    letter = re.search(r'<div class="sheet">.*?</figure>', page, re.DOTALL)[0]
    said = [unescape(found).strip() for found in re.findall(r">([^<>]+)<", letter)]
    at = (timezone.now() - front.SAMPLE_AGE).isoformat()
    notice = SignInNotice(
        user_id="0",
        email="bat@example.mn",
        name="Бат" if language == "mn" else "Bat",
        provider="password",
        ip_address="203.0.113.7",
        browser="Firefox",
        system="Windows",
        timestamp=at,
        locale=language,
        timezone="",
        new_device=True,
        sign_in_id="00000000-0000-0000-0000-000000000000",
    )
    real = unescape(re.sub(r"\s+", " ", rendering.render_payload(notice.payload(), language)[2]))
    missing = [words for words in said if words and words not in real]
    place = {"mn": ["Байршил (ойролцоогоор)", "Герман"], "en": ["Place (approximate)", "Germany"]}[language]
    times = [words for words in missing if "UTC" in words]  # the minute may have changed in between
    assert set(missing) - set(times) <= set(place)
    assert len(said) > 15


@pytest.mark.parametrize("language", ["en", "mn"])
def test_the_example_of_the_page_has_the_words_of_the_real_page(client, here, language):
    example = client.get("/", headers={"accept-language": language}).content.decode()
    example = example.split('<div class="sheet">')[2].split("</figure>")[0]
    seen = last()
    real = Client().get(
        dispute_links.dispute_link(seen.pk, seen.email).removeprefix("http://testserver"),
        headers={"accept-language": language},
    )
    assert real.status_code == 200
    words = [unescape(found).strip() for found in re.findall(r">([^<>]+)<", example)]
    page = unescape(real.content.decode())
    assert [one for one in words if one and one not in page and "UTC" not in one and "Firefox" not in one] == []


def test_the_front_page_shows_a_user_the_way_to_the_account(client, here, bat):
    bat.first_name = "Болд"
    bat.save()
    page = here.get("/", headers=EN).content.decode()
    assert "You are signed in as Болд." in page
    main = page.split("<main")[1]
    for path in (SECURITY, EMAILS, "/accounts/activity/"):
        assert f'href="{path}"' in main
        assert f'href="{path}"' not in client.get("/").content.decode()


@pytest.mark.parametrize("path", ["/", "/help/"])
def test_visitors_cost_no_query(client, path, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert client.get(path).status_code == 200


def test_help_is_linked_from_every_page(client):
    for path in ("/", "/accounts/login/", "/no-such-page"):
        assert 'href="/help/"' in client.get(path).content.decode()


def test_help_names_the_sender_and_the_limit_of_the_settings(client, settings):
    settings.DEFAULT_FROM_EMAIL = "Directory <letters@directory.example>"
    settings.SIGNIN_EMAILS_PER_HOUR = 7
    text = text_of(client, "/help/")
    assert "The sender is letters@directory.example." in text
    assert "no more than 7 emails" in text


@pytest.mark.parametrize("path", ["/accounts/activity/", SECURITY, EMAILS, "/accounts/preferences/", "/help/", "/"])
def test_the_bar_marks_the_open_page(here, path):
    page = here.get(path).content.decode()
    header = page.split("</header>")[0]
    assert re.findall(r'href="([^"]+)" aria-current="page"', header) == [path]


def test_only_staff_see_the_way_to_the_administration(here, bat):
    assert 'href="/admin/"' not in here.get("/").content.decode()
    bat.is_staff = True
    bat.save()
    assert 'href="/admin/"' in here.get("/").content.decode()


@pytest.mark.parametrize("path", [SECURITY, EMAILS])
def test_strangers_are_led_to_the_sign_in_page(path):
    assert Client().get(path).url == f"/accounts/login/?next={path}"


@pytest.mark.parametrize("path", [SECURITY, EMAILS, "/", "/help/"])
def test_the_pages_take_no_post(here, path):
    assert here.post(path).status_code == 405
