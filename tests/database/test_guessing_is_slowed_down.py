"""Sign-in attempts are counted by name and by address, and a counter that is unavailable stops no user."""

import pytest

from tests.support.people import browser, person, sign_in

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def few(settings):
    settings.SIGN_IN_RATE_PER_NAME, settings.SIGN_IN_RATE_PER_ADDRESS = "3/5m", "6/5m"


def test_the_fourth_guess_at_one_name_is_refused_from_wherever_it_comes():
    person()
    answers = [sign_in(browser(address=f"203.0.113.{n}"), password="wrong").status_code for n in range(5)]
    assert answers == [200, 200, 200, 429, 429]
    assert sign_in(browser(address="198.51.100.1")).status_code == 429, "even with the right password"


@pytest.mark.parametrize("written", ["BAT", " bat ", "Bat"])
def test_another_way_to_write_the_name_is_the_same_name(written):
    person()
    for _ in range(3):
        sign_in(browser(), password="wrong")
    assert sign_in(browser(), written).status_code == 429


def test_the_seventh_guess_from_one_address_is_refused_whatever_the_name():
    answers = [sign_in(browser(), f"name{n}", "wrong").status_code for n in range(8)]
    assert answers == [200] * 6 + [429] * 2


def test_one_network_of_ipv6_is_one_address():
    answers = [sign_in(browser(address=f"2001:db8::{n}"), f"name{n}", "wrong").status_code for n in range(8)]
    assert answers == [200] * 6 + [429] * 2


def test_the_administrations_log_in_is_counted_with_it():
    person("boss", is_staff=True)
    for _ in range(3):
        browser().post("/admin/login/", {"username": "boss", "password": "wrong"})
    assert sign_in(browser(), "boss").status_code == 429


def test_looking_at_the_page_is_not_counted_and_the_refusal_is_a_page():
    person()
    for _ in range(4):
        answer = sign_in(browser(), password="wrong")
    assert answer["Retry-After"]
    assert "<h1>" in answer.content.decode()
    assert browser().get("/accounts/login/").status_code == 200


def test_a_forged_header_does_not_get_around_it():
    person()
    client = browser()
    for n in range(6):
        sign_in(client, f"name{n}", "wrong")
    client.defaults["HTTP_X_FORWARDED_FOR"] = "198.51.100.99"
    assert sign_in(client).status_code == 429


@pytest.mark.parametrize(
    "broken",
    [
        {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "no_such_table"},
        {"BACKEND": "notifier.cache.BoundedRedisCache", "LOCATION": "redis://127.0.0.1:1/0"},
    ],
)
def test_an_unavailable_cache_stops_no_user(settings, broken, transactional_db):
    person()
    settings.CACHES = {**settings.CACHES, "default": broken}
    assert sign_in(browser()).status_code == 302


def test_a_unix_socket_that_gives_no_address_stops_no_user():
    person()
    for n in range(10):
        assert sign_in(browser(address=""), f"name{n}", "wrong").status_code == 200
    assert sign_in(browser(address="")).status_code == 302
