"""Known or new: a cookie first, families then, an address never."""

import pytest
from django.core import signing

from accounts import known_devices
from accounts.models import Device, SignIn
from jobs.models import JobLog
from tests.people import CHROME, FIREFOX, NEWER_CHROME, SAFARI, browser, last, person, sign_in, sign_out

pytestmark = pytest.mark.django_db


def test_the_first_sign_in_of_an_account_is_not_new():
    person()
    assert sign_in(browser()).status_code == 302
    assert not last().new_device
    assert Device.objects.count() == 1


def test_another_browser_is_new_once():
    person()
    for agent in (CHROME, FIREFOX, FIREFOX):
        sign_in(browser(agent))
    assert list(SignIn.objects.order_by("at").values_list("new_device", flat=True)) == [False, True, False]


def test_a_newer_version_of_a_known_browser_is_known_without_its_cookie():
    person()
    sign_in(browser(CHROME))
    sign_in(browser(NEWER_CHROME))
    assert not last().new_device


def test_the_same_address_makes_no_device_known_and_another_address_none_new():
    person()
    sign_in(browser(CHROME, "203.0.113.7"))
    sign_in(browser(SAFARI, "203.0.113.7"))
    assert last().new_device
    sign_in(browser(SAFARI, "198.51.100.1"))
    assert not last().new_device


def test_the_cookie_is_enough_when_the_browser_calls_itself_something_else():
    person()
    client = browser(CHROME)
    sign_in(client)
    sign_out(client)
    client.defaults["HTTP_USER_AGENT"] = "Something/1.0"
    sign_in(client)
    assert not last().new_device
    assert client.cookies[known_devices.COOKIE]["httponly"]


def test_the_cookie_ends_with_a_change_of_password():
    bat = person()
    client = browser(CHROME)
    sign_in(client)
    sign_out(client)
    bat.set_password("another-Steppe-horse")
    bat.save()
    client.defaults["HTTP_USER_AGENT"] = FIREFOX
    sign_in(client, password="another-Steppe-horse")
    assert last().new_device


def test_the_cookie_of_one_person_says_nothing_of_another():
    person("bat")
    person("saran")
    client = browser(CHROME)
    sign_in(client, "bat")
    sign_in(browser(SAFARI), "saran")
    sign_out(client)
    sign_in(client, "saran")
    assert last().new_device
    sign_out(client)
    client.defaults["HTTP_USER_AGENT"] = FIREFOX
    sign_in(client, "bat")
    assert not last().new_device, "one browser keeps the cookies of several people"


@pytest.mark.parametrize(
    "cookie",
    ["", "x", "a:b:c", signing.dumps([1]), signing.dumps({"1": "x"}, salt=known_devices.SALT), "\x00" * 5000],
    ids=range(6),
)
def test_a_cookie_that_is_not_ours_is_no_cookie(cookie):
    person()
    sign_in(browser(CHROME))
    client = browser(FIREFOX)
    client.cookies[known_devices.COOKIE] = cookie
    assert sign_in(client).status_code == 302
    assert last().new_device


def test_a_browser_that_does_not_say_what_it_is_is_never_known_by_that():
    person()
    sign_in(browser(""))
    sign_in(browser(""))
    assert last().new_device


def test_a_forgotten_device_is_new_again_even_with_its_cookie():
    person()
    client = browser(CHROME)
    sign_in(client)
    Device.objects.all().delete()
    sign_out(client)
    sign_in(client)
    assert last().new_device


def test_the_verdict_travels_with_the_job_and_is_not_made_again():
    person()
    sign_in(browser(CHROME))
    sign_in(browser(FIREFOX))
    Device.objects.all().delete()
    told = JobLog.objects.filter(job_type="signin-notification").order_by("id").values_list("payload", flat=True)
    assert [payload["newDevice"] for payload in told] == [False, True]


def test_a_person_who_wants_no_routine_notices_still_gets_alerts():
    person(notify_sign_ins=False)
    sign_in(browser(CHROME))
    assert last().notice == "opted_out"
    sign_in(browser(FIREFOX))
    assert last().notice == "queued"
