"""Emails have the colours of the tokens, those of other sites none of ours; dates have one format for each language."""

import re
from datetime import UTC, datetime

import pytest
from django.utils import translation

from accounts.mail.rendering import render_account_content, render_payload
from accounts.notices.account import LINKS
from jobs.design import PALETTES, accent_styles, text_on
from jobs.templatetags import job_dates
from tests.support.mail import EVENT, PAYLOAD, account_email

AT = datetime(2025, 12, 19, 8, 3, 11, tzinfo=UTC)  # 16:03:11 in Ulaanbaatar
SHOP = {"name": "Mountain Shop", "url": "https://shop.example", "support": "help@shop.example"}
COLOUR = re.compile(r"#[0-9a-f]{6}\b")


def tokens(*, own: bool) -> set[str]:
    return {value for palette in PALETTES[own].values() for value in palette.values() if COLOUR.fullmatch(value)}


@pytest.mark.parametrize("new_device", [True, False])
def test_an_email_about_a_sign_in_has_colours_of_the_tokens_alone(new_device):
    html = render_payload({**PAYLOAD, "newDevice": new_device}, "mn")[2]
    assert set(COLOUR.findall(html)) <= tokens(own=True)
    assert PALETTES[True]["light"]["main"] in html


@pytest.mark.parametrize("kind", LINKS)
def test_an_email_about_an_account_too(kind):
    assert set(COLOUR.findall(account_email(kind, "en")[2])) <= tokens(own=True)


@pytest.mark.parametrize("colour", ["", "#0055aa"])
@pytest.mark.parametrize("kind", ["sign-in", "site_dispute", "events_off"])
def test_an_email_of_another_site_has_no_colour_of_ours(kind, colour):
    brand = {**SHOP, "colour": colour}
    if kind == "sign-in":
        html = render_payload({**PAYLOAD, "site": brand, "newDevice": True}, "en")[2]
    else:
        from accounts.mail.brand import Brand

        html = render_account_content(kind, "en", {**EVENT, "url": "", "events": [EVENT]}, Brand(**brand))[2]
    found = set(COLOUR.findall(html))
    assert found <= tokens(own=False) | ({colour} if colour else set())
    brands = {PALETTES[True][mode][name] for mode in ("light", "dark") for name in ("main", "page", "line", "text")}
    assert found & (brands - tokens(own=False)) == set()


def test_the_words_on_an_accent_colour_are_those_of_a_page_of_another_site():
    assert text_on("#0055aa") == PALETTES[False]["light"]["main_text"] == "#ffffff"
    assert text_on("#ffdd00") == PALETTES[False]["light"]["text"]
    assert accent_styles("#0055aa").startswith(".branded {")


@pytest.mark.parametrize(
    ("name", "mn", "en"),
    [
        ("second", "2025.12.19 16:03:11", "2025-12-19 16:03:11"),
        ("minute", "2025.12.19 16:03", "2025-12-19 16:03"),
        ("minute_of_year", "12.19 16:03", "12-19 16:03"),
        ("clock", "16:03:11", "16:03:11"),
        ("short_clock", "16:03", "16:03"),
    ],
)
def test_a_date_on_the_operators_pages(name, mn, en):
    for language, expected in (("mn", mn), ("en", en)):
        with translation.override(language):
            assert getattr(job_dates, name)(AT) == expected
            assert getattr(job_dates, name)(None) == ""


@pytest.mark.parametrize(
    ("day", "expected"), [("m/d/Y", "12/19 16:03"), ("d.m.Y", "19.12 16:03"), ("Y-m-d", "12-19 16:03")]
)
def test_a_project_with_other_formats_has_its_own_order(monkeypatch, day, expected):
    monkeypatch.setattr(job_dates, "get_format", lambda _name: day)
    assert job_dates.minute_of_year(AT) == expected
