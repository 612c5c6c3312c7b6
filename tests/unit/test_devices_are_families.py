"""Families of browsers and systems, from 260 real user agents of ua-parser's own test data; never a version."""

import json
from pathlib import Path

import pytest

from accounts.mail import user_agents
from tests.support.people import CHROME, FIREFOX, NEWER_CHROME, SAFARI

REAL = [json.loads(line) for line in Path(__file__).parents[1].joinpath("data").joinpath("user_agents.jsonl").open()]


def test_there_are_enough_of_them():
    assert len({entry["user_agent"] for entry in REAL}) >= 200


@pytest.mark.parametrize("entry", REAL, ids=range(len(REAL)))
def test_real_user_agents_are_named_by_family(entry):
    expected = ["" if family == user_agents.UNKNOWN else family for family in (entry["browser"], entry["system"])]
    browser, system = user_agents.parse_families(entry["user_agent"])
    assert browser == expected[0]
    assert expected[1] in (None, system)


def test_versions_make_no_difference():
    assert user_agents.parse_families(CHROME) == user_agents.parse_families(NEWER_CHROME) == ("Chrome", "Windows")


@pytest.mark.parametrize(
    "hostile",
    ["", "\x00", "<script>alert(1)</script>", "\u202etxt.exe", "A" * 100_000, "((((((" * 5000, CHROME + "\r\nX: y"],
)
def test_hostile_user_agents_are_families_or_nothing(hostile):
    for family in user_agents.parse_families(hostile):
        assert len(family) <= 64
        assert "<" not in family
        assert family.isprintable()


def test_phones_are_distinguished_from_desktops():
    assert user_agents.parse_families(SAFARI) == ("Mobile Safari", "iOS")
    assert user_agents.parse_families(FIREFOX) == ("Firefox", "Linux")
