"""The row "Place (approximate)", for sites that have a country database."""

import pytest
from django.utils.translation import override

from accounts.mail import geoip
from accounts.mail.rendering import render_payload
from tests.support.country_database import write
from tests.support.mail import PAYLOAD

COUNTRIES = {
    "203.0.113.0/24": {"iso_code": "MN", "names": {"en": "Mongolia"}},
    "198.51.100.0/25": {"iso_code": "PE", "names": {"en": "Peru"}},
    "198.51.100.128/25": {"iso_code": "XX", "names": {"en": "<b>\u202eEvil"}},
    "192.0.2.0/24": {},
}


@pytest.fixture
def database(settings, tmp_path):
    settings.GEOIP_PATH = str(write(tmp_path / "countries.mmdb", COUNTRIES))


def text(locale, ip):
    return render_payload({**PAYLOAD, "ipAddress": ip}, locale)[1]


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    ("locale", "ip", "row"),
    [
        ("mn", "203.0.113.7", "Байршил (ойролцоогоор): Монгол Улс\n"),
        ("en", "203.0.113.7", "Place (approximate): Mongolia\n"),
        ("mn", "198.51.100.7", "Байршил (ойролцоогоор): Перу\n"),
        ("en", "198.51.100.200", "Place (approximate): <b>Evil\n"),
    ],
)
def test_the_country_is_named_in_the_persons_language_where_it_can_be(locale, ip, row):
    assert row in text(locale, ip)


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("ip", ["192.0.2.1", "8.8.8.8", "2001:db8::1", "", "evil"])
def test_an_address_of_no_known_country_has_no_such_row(ip):
    assert "Place" not in text("en", ip)


@pytest.mark.usefixtures("database")
def test_the_name_is_escaped_in_the_html_part():
    assert "&lt;b&gt;Evil" in render_payload({**PAYLOAD, "ipAddress": "198.51.100.200"}, "en")[2]


@pytest.mark.usefixtures("database")
def test_a_database_that_is_replaced_is_opened_again(settings, tmp_path):
    assert "Place (approximate): Mongolia" in text("en", "203.0.113.7")
    newer = write(tmp_path / "newer.mmdb", {"203.0.113.0/24": {"iso_code": "KZ", "names": {"en": "Kazakhstan"}}})
    newer.rename(settings.GEOIP_PATH)
    assert "Place (approximate): Kazakhstan" in text("en", "203.0.113.7")


def test_the_folder_of_a_language_names_countries_and_a_broken_file_is_passed_over(settings, tmp_path, database):
    file = tmp_path / "mn" / "cldr.json"
    file.parent.mkdir()
    settings.LOCALE_PATHS = [tmp_path, *settings.LOCALE_PATHS]
    file.write_text('{"name": "Монгол", "countries": {"PE": "Перу улс"}}')
    assert "Перу улс" in text("mn", "198.51.100.7")
    for number, broken in enumerate(['{"countries"', "[]", '{"countries": 7}']):
        settings.LOCALE_PATHS = [tmp_path / str(number), *settings.LOCALE_PATHS]
        (tmp_path / str(number) / "en").mkdir(parents=True)
        (tmp_path / str(number) / "en" / "cldr.json").write_text(broken)
        assert "Place (approximate): Peru\n" in text("en", "198.51.100.7")


def test_a_language_without_names_has_those_of_the_database_then_english_ones(settings, tmp_path):
    named = {"iso_code": "PE", "names": {"en": "Peru", "de": "Peru (Staat)"}}
    settings.GEOIP_PATH = str(write(tmp_path / "countries.mmdb", {"198.51.100.0/24": named}))
    for language, name in [("de", "Peru (Staat)"), ("fr", "Peru")]:
        with override(language):
            assert geoip.country_name("198.51.100.7") == name
            assert geoip.name_of_code("KZ") == "Kazakhstan"
            assert geoip.name_of_code("XX") == ""


def test_without_a_database_there_is_no_such_row(settings):
    settings.GEOIP_PATH = ""
    assert "Place" not in text("en", "203.0.113.7")


def test_a_broken_database_costs_the_row_and_not_the_mail(settings, tmp_path):
    settings.GEOIP_PATH = str(tmp_path / "broken.mmdb")
    (tmp_path / "broken.mmdb").write_bytes(b"no database")
    assert "Place" not in text("en", "203.0.113.7")
    settings.GEOIP_PATH = str(tmp_path / "missing.mmdb")
    assert "203.0.113.7" in text("en", "203.0.113.7")
