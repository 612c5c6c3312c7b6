"""The judgement of a sign-in, as tables: known or new, the signals, and the networks and texts that belong to them."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils.translation import override

from accounts.mail.content import describe_signals
from accounts.sign_in import networks, risk
from accounts.sign_in.risk import Attempt, Past, Signal

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
AT_HOME = Past(seen=True, last_at=NOW - HOUR, located=True, country_seen=True)
NO_SIGNAL: dict[str, object] = {}


@pytest.mark.parametrize(
    ("cookie", "families", "network", "country", "known"),
    [
        (True, False, False, False, True),
        (True, True, True, True, True),
        (False, True, True, False, True),
        (False, True, False, True, True),
        (False, True, False, False, False),
        (False, False, True, True, False),
        (False, False, False, False, False),
    ],
)
def test_a_device_is_known_by_its_cookie_or_by_families_at_a_known_place(cookie, families, network, country, known):
    past = Past(seen=True, cookie_valid=cookie, families_seen=families, network_seen=network, country_seen=country)
    assert risk.is_known(past) is known
    assert risk.is_new_device(past) is not known


def test_the_first_sign_in_of_all_is_from_no_new_device_and_has_no_signal():
    assert not risk.is_new_device(Past())
    assert risk.find_signals(Attempt(NOW, "DE"), Past()) == NO_SIGNAL


@pytest.mark.parametrize(
    ("attempt", "past", "signals"),
    [
        # a new country
        (Attempt(NOW, "MN"), AT_HOME, {}),
        (Attempt(NOW, "DE"), Past(seen=True, located=True), {Signal.NEW_COUNTRY: "DE"}),
        (Attempt(NOW, "DE"), Past(seen=True, located=False), {}),  # the earlier ones have no country: nothing is new
        (Attempt(NOW, ""), Past(seen=True, located=True), {}),
        # wrong passwords before it
        (Attempt(NOW, "MN", 4), AT_HOME, {}),
        (Attempt(NOW, "MN", 5), AT_HOME, {Signal.AFTER_FAILURES: 5}),
        (Attempt(NOW, "", 99), Past(), {Signal.AFTER_FAILURES: 99}),
        # a long absence
        (Attempt(NOW), Past(seen=True, last_at=NOW - timedelta(days=89, hours=23)), {}),
        (Attempt(NOW), Past(seen=True, last_at=NOW - timedelta(days=90)), {Signal.LONG_ABSENCE: "2026-08-28"}),
        (Attempt(NOW), Past(seen=True, last_at=NOW + timedelta(days=400)), {}),  # a clock was wrong
        # another country less than two hours ago
        (
            Attempt(NOW, "DE"),
            Past(seen=True, located=True, country_seen=True, elsewhere="MN", elsewhere_at=NOW - HOUR),
            {Signal.TWO_COUNTRIES: "MN"},
        ),
        (
            Attempt(NOW, "DE"),
            Past(seen=True, located=True, country_seen=True, elsewhere="MN", elsewhere_at=NOW - 2 * HOUR),
            {},
        ),
        (
            Attempt(NOW, "DE"),
            Past(seen=True, located=True, country_seen=True, elsewhere="MN", elsewhere_at=NOW + HOUR),
            {Signal.TWO_COUNTRIES: "MN"},
        ),
        (Attempt(NOW, ""), Past(seen=True, located=True, elsewhere="MN", elsewhere_at=NOW), {}),
        # all of them
        (
            Attempt(NOW, "DE", 7),
            Past(seen=True, last_at=NOW - timedelta(days=100), located=True, elsewhere="MN", elsewhere_at=NOW),
            {
                Signal.NEW_COUNTRY: "DE",
                Signal.AFTER_FAILURES: 7,
                Signal.LONG_ABSENCE: "2026-08-18",
                Signal.TWO_COUNTRIES: "MN",
            },
        ),
    ],
    ids=range(15),
)
def test_the_signals_of_a_sign_in(attempt, past, signals):
    assert risk.find_signals(attempt, past) == signals


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.0/24"),
        ("::ffff:203.0.113.7", "203.0.113.0/24"),
        ("::ffff:cb00:7107", "203.0.113.0/24"),
        ("2001:db8:1:2:3::4", "2001:db8:1::/48"),
        ("2001:DB8:1:ffff::1%eth0", "2001:db8:1::/48"),
        ("fe80::1%eth0", "fe80::/48"),
        ("", ""),
        ("unix", ""),
        ("203.0.113.7:80", ""),
        ("%eth0", ""),
    ],
)
def test_a_network_is_the_same_in_every_spelling_of_its_addresses(address, network):
    assert networks.network_of(address) == network


def test_a_network_is_stored_as_a_hash_that_is_keyed_and_differs_between_owners(settings):
    [mine] = networks.hash_network("1", "203.0.113.7")
    assert networks.hash_network("1", "203.0.113.200") == [mine]
    assert networks.hash_network("2", "203.0.113.7") != [mine]
    assert networks.hash_network("1", "nowhere") == [""]
    former, settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = settings.SECRET_KEY, "x" * 50, [settings.SECRET_KEY]
    now, before = networks.hash_network("1", "203.0.113.7")
    assert (before, now != mine, former != settings.SECRET_KEY) == (mine, True, True)


@pytest.mark.parametrize(
    ("signals", "lines"),
    [
        ({"new_country": "DE"}, ["First sign-in from Germany"]),
        ({"new_country": "XX"}, ["First sign-in from XX"]),
        ({"after_failures": 6}, ["After 6 wrong passwords"]),
        ({"long_absence": "2026-03-05"}, ["First sign-in since March"]),
        ({"long_absence": "2025-03-05"}, ["First sign-in since March 2025"]),
        ({"two_countries": "MN"}, ["Less than two hours after a sign-in from Mongolia"]),
        ({"new_country": "DE", "after_failures": 6}, ["First sign-in from Germany", "After 6 wrong passwords"]),
        ({}, []),
        (None, []),
        (["new_country"], []),
        ({"new_country": None, "after_failures": "6", "long_absence": "yesterday", "two_countries": 7, "other": 1}, []),
    ],
    ids=range(11),
)
def test_each_signal_has_one_plain_line_and_an_invalid_value_has_no_line(signals, lines):
    with override("en"):
        assert list(describe_signals(signals, "", "2026-11-26T12:00:00+00:00").values()) == lines


def test_every_signal_has_a_text():
    details = {"new_country": "DE", "after_failures": 6, "long_absence": "2026-03-05", "two_countries": "MN"}
    assert set(details) == set(Signal)
    assert len(describe_signals(details, "", "2026-11-26")) == len(Signal)
