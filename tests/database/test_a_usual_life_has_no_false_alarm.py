"""Ninety days of ordinary users: no sign-in but the first one of each device is an alert.

The addresses are those of real networks: two providers and two mobile networks in Mongolia, and the exits of iCloud
Private Relay and of a carrier's NAT, which change from hour to hour.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings as site_settings
from django.db import connection
from django.http import HttpResponse
from django.test import RequestFactory

from accounts.sign_in import known_devices, record
from accounts.sign_in.event import SignIn
from accounts.user import User
from tests.support import country_database
from tests.support.people import CHROME, FIREFOX, NEWER_CHROME, SAFARI, person

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
HOME, OFFICE = "202.179.0.0/19", "202.131.0.0/19"
MOBILE = ["66.181.160.0/19", "103.9.88.0/22", "202.21.96.0/19", "122.201.16.0/20"]
RELAY = ["172.224.224.0/20", "104.28.0.0/16", "140.248.0.0/17", "146.75.128.0/17"]
MONGOLIA = {"iso_code": "MN", "names": {"en": "Mongolia"}}
DAYS = 90


@dataclass
class Device:
    """A browser with its cookie jar; a forgetful one deletes its cookies after each sign-in."""

    agent: str
    forgetful: bool = False
    cookies: dict[str, str] = field(default_factory=dict)

    def sign_in(self, address: str) -> SignIn:
        """Sign in from an address, as the middleware and the receiver see it."""
        request = RequestFactory().post("/accounts/login/", headers={"user-agent": self.agent}, REMOTE_ADDR=address)
        request.COOKIES.update(self.cookies)
        sign_in = record.record_sign_in(User.objects.get(username="bat"), request)
        response = HttpResponse()
        known_devices.set_cookie(request, response, getattr(request, known_devices.DEVICE_ATTRIBUTE))
        if not self.forgetful:
            self.cookies = {name: morsel.value for name, morsel in response.cookies.items()}
        return sign_in


SIMULATED = """
CREATE SCHEMA simulated;
CREATE FUNCTION simulated.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS
    $$ SELECT current_setting('simulated.now')::timestamptz $$;
SET LOCAL search_path = simulated, public, pg_catalog
"""


class Clock:
    """The time of the simulation, which PostgreSQL takes for its own: 90 days do not pass in a test."""

    def __init__(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(SIMULATED)
        self.set(datetime(2026, 3, 1, tzinfo=UTC))

    def set(self, now: datetime) -> None:
        """Let it be that time."""
        self.now = now
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('simulated.now', %s, true)", [now.isoformat()])


@pytest.fixture
def clock(db) -> Clock:
    return Clock()


@pytest.fixture
def chance() -> random.Random:
    """The same numbers in every run."""
    person()
    return random.Random(2026)


@pytest.fixture
def countries(settings, tmp_path):
    networks = dict.fromkeys((HOME, OFFICE, *MOBILE, *RELAY), MONGOLIA)
    settings.GEOIP_PATH = str(country_database.write(tmp_path / "countries.mmdb", networks))


def somewhere(chance: random.Random, *networks: str) -> str:
    """An address of one of the networks."""
    base, _, bits = chance.choice(networks).partition("/")
    first, second, third, fourth = map(int, base.split("."))
    at = (first << 24 | second << 16 | third << 8 | fourth) + chance.randrange(1, 2 ** (32 - int(bits)) - 1)
    return ".".join(str(at >> shift & 255) for shift in (24, 16, 8, 0))


def commuting(chance: random.Random) -> Iterator[tuple[int, str, str]]:
    """Yield (minute, device, address) of the sign-ins: home, the way, the office, two weeks of holiday."""
    home, office = somewhere(chance, HOME), somewhere(chance, OFFICE)
    for day in range(DAYS):
        if 40 <= day < 54:
            continue
        if day % 20 == 19:  # the provider gives the home another address of its block
            home = home.rpartition(".")[0] + f".{chance.randrange(1, 255)}"
        usual = [(7 * 60, "laptop", home), (8 * 60, "phone", somewhere(chance, *MOBILE))]
        if day % 7 < 5:
            usual += [
                (9 * 60, "desk", office),
                (13 * 60, "phone", somewhere(chance, *MOBILE)),
                (14 * 60, "phone", office),
            ]
        usual += [(20 * 60, "phone", home), (22 * 60, "laptop", home)]
        for minute, device, address in usual:
            yield day * 24 * 60 + minute + chance.randrange(50), device, address


def alarms(clock: Clock, devices: dict[str, Device], days: Iterator[tuple[int, str, str]]) -> list[SignIn]:
    """Live through `days`; return the alerts that are not the first sign-in of a device."""
    begin, seen, found = clock.now, set(), []
    for minute, device, address in days:
        clock.set(begin + timedelta(minutes=minute))
        sign_in = devices[device].sign_in(address)
        assert sign_in.at == clock.now
        if sign_in.is_alert and device in seen:
            found.append(sign_in)
        seen.add(device)
    return found


def a_users_devices(*, forgetful: bool) -> dict[str, Device]:
    return {
        "laptop": Device(CHROME, forgetful),
        "desk": Device(FIREFOX, forgetful),
        "phone": Device(SAFARI, forgetful),
    }


@pytest.mark.parametrize("forgetful", [False, True], ids=["with cookies", "without cookies"])
@pytest.mark.usefixtures("countries")
def test_a_commuter_has_no_false_alarm(clock, chance, forgetful):
    assert alarms(clock, a_users_devices(forgetful=forgetful), commuting(chance)) == []
    assert SignIn.objects.count() > 350


def test_a_commuter_has_no_false_alarm_where_countries_are_unknown(clock, chance):
    assert site_settings.GEOIP_PATH == ""
    assert alarms(clock, a_users_devices(forgetful=False), commuting(chance)) == []


@pytest.mark.parametrize("networks", [RELAY, MOBILE], ids=["iCloud Private Relay", "carrier-grade NAT"])
@pytest.mark.usefixtures("countries")
def test_an_address_that_changes_every_hour_within_one_country_raises_no_alarm_even_without_a_cookie(
    clock, chance, networks
):
    days = ((hour * 60, "phone", somewhere(chance, *networks)) for hour in range(0, DAYS * 24, 7))
    assert alarms(clock, {"phone": Device(SAFARI, forgetful=True)}, days) == []


@pytest.mark.usefixtures("countries")
def test_a_browser_that_is_updated_and_loses_its_cookie_raises_no_alarm(clock, chance):
    home = somewhere(chance, HOME)
    Device(CHROME).sign_in(home)
    clock.set(clock.now + timedelta(days=30))
    assert not Device(NEWER_CHROME).sign_in(home).is_alert


@pytest.mark.usefixtures("countries")
def test_a_stranger_in_the_middle_of_it_is_an_alarm(clock, chance):
    alarms(clock, a_users_devices(forgetful=False), commuting(chance))
    clock.set(clock.now + timedelta(days=1))
    assert Device(CHROME).sign_in("45.83.64.1").new_device, "the families of the laptop, from elsewhere"
    assert Device(CHROME.replace("Windows NT 10.0; Win64; x64", "X11; Linux x86_64")).sign_in("66.181.161.9").new_device
