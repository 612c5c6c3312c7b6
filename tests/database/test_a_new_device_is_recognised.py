"""Known or new: the cookie first, then families at a place where the user has been; neither alone without it."""

from importlib import import_module

import pytest
from django.apps import apps
from django.core import signing

from accounts.sign_in import known_devices
from accounts.sign_in.event import SignIn
from accounts.sign_in.known_devices import Device
from jobs.core.job import JobLog
from tests.support.people import CHROME, FIREFOX, NEWER_CHROME, SAFARI, browser, last, person, sign_in, sign_out

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


def test_neither_a_known_network_nor_known_families_are_enough_without_the_other():
    person()
    sign_in(browser(CHROME, "203.0.113.7"))
    sign_in(browser(SAFARI, "203.0.113.7"))
    assert last().new_device
    sign_in(browser(SAFARI, "198.51.100.1"))
    assert last().new_device
    sign_in(browser(CHROME, "198.51.100.200"))
    assert not last().new_device, "both are known by now"


def test_the_cookie_is_enough_wherever_the_device_goes():
    person()
    client = browser(SAFARI)
    for address in ("203.0.113.7", "198.51.100.1", "2001:db8::1", "192.0.2.9"):
        client.defaults["REMOTE_ADDR"] = address
        sign_in(client)
        assert not last().new_device
        sign_out(client)
    assert Device.objects.count() == 1


def test_the_cookie_is_enough_when_the_browser_calls_itself_something_else():
    person()
    client = browser(CHROME)
    sign_in(client)
    sign_out(client)
    client.defaults["HTTP_USER_AGENT"] = "Something/1.0"
    sign_in(client)
    assert not last().new_device
    assert client.cookies[known_devices.DEVICE_COOKIE]["httponly"]


def test_the_cookie_outlives_a_change_of_password():
    bat = person()
    client = browser(CHROME)
    sign_in(client)
    sign_out(client)
    bat.set_password("another-Steppe-horse")
    bat.save()
    client.defaults["HTTP_USER_AGENT"] = FIREFOX
    sign_in(client, password="another-Steppe-horse")
    assert not last().new_device


def test_no_row_of_the_database_can_be_made_into_a_cookie():
    bat = person()
    sign_in(browser(CHROME))
    [stored] = Device.objects.values_list("secret", flat=True)
    client = browser(FIREFOX)
    client.cookies[known_devices.DEVICE_COOKIE] = signing.dumps({str(bat.pk): stored}, salt=known_devices.DEVICE_SALT)
    sign_in(client)
    assert last().new_device


def test_two_browsers_of_one_family_have_secrets_of_their_own():
    person()
    clients = [browser(CHROME), browser(CHROME)]
    for client in clients:
        sign_in(client)
    assert len(set(Device.objects.values_list("secret", flat=True))) == 2
    page = clients[0].get("/accounts/security/").content.decode()
    assert page.count("/forget/") == 1, "they look the same, so the page has one of them"
    clients[0].post(f"/accounts/devices/{Device.objects.latest('pk').pk}/forget/")
    assert not Device.objects.exists(), "and both are forgotten together"


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
    [
        *("", "x", "a:b:c", signing.dumps([1]), "\x00" * 5000),
        *(signing.dumps(odd, salt=known_devices.DEVICE_SALT) for odd in ([1], {"1": "x"}, {"1": [2**70, "x", 0]}, 7)),
    ],
    ids=range(9),
)
def test_a_cookie_that_is_not_ours_is_ignored(cookie):
    person()
    sign_in(browser(CHROME))
    client = browser(FIREFOX)
    client.cookies[known_devices.DEVICE_COOKIE] = cookie
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
    notices = JobLog.objects.filter(job_type="signin-notification").order_by("id").values_list("payload", flat=True)
    assert [payload["newDevice"] for payload in notices] == [False, True]


def test_a_person_who_wants_no_routine_notices_still_gets_alerts():
    person(notify_sign_ins=False)
    sign_in(browser(CHROME))
    assert last().notice == "opted_out"
    sign_in(browser(FIREFOX))
    assert last().notice == "queued"


def test_the_migration_keeps_the_networks_of_earlier_sign_ins_known():
    bat = person()
    sign_in(browser(CHROME, "203.0.113.7"))
    old = {"method": "password", "language": "mn", "time_zone": "UTC", "at": "2026-01-01T00:00Z"}
    SignIn.objects.bulk_create(SignIn(user=bat, ip="2001:db8:1::1", **old) for _ in range(1001))
    hashed = SignIn.objects.get(ip="203.0.113.7").network
    SignIn.objects.update(network="")
    import_module("accounts.migrations.0004_risk").hash_networks(apps, None)
    assert not SignIn.objects.filter(network="").exists()
    assert SignIn.objects.get(ip="203.0.113.7").network == hashed
    sign_in(browser(CHROME, "203.0.113.200"))
    assert not last().new_device
