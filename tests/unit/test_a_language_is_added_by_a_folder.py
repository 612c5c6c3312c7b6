"""LANGUAGES and LOCALE_DIR: Kazakh, with a catalogue of a few texts, in the emails, and what is refused."""

import json
import re
import shutil

import pytest
from django.core.exceptions import ValidationError as FieldError
from django.test import RequestFactory
from django.utils.translation import override

from accounts.forms import PreferencesForm
from accounts.mail.content import choose_language
from accounts.mail.rendering import Templates, render_payload, templates
from accounts.sites.validators import check_language
from jobs.admin.parts.preview import languages as previewed
from notifier.api import fields
from notifier.context import site_context
from notifier.environment.languages import faults, locale_folders, named, parse_names
from scripts import language
from tests.support.country_database import write
from tests.support.languages import LOCALE_DIR, add_kazakh, write_catalogue
from tests.support.mail import PAYLOAD, account_email
from tests.support.site import ROOT


def found(codes, default="mn", names=None, added=""):
    return list(faults(codes.split(","), default, names or {}, str(added), ROOT))


@pytest.fixture
def kazakh(settings, tmp_path):
    add_kazakh(settings)
    settings.GEOIP_PATH = str(write(tmp_path / "countries.mmdb", {"203.0.113.0/24": {"iso_code": "MN"}}))


@pytest.mark.usefixtures("kazakh")
def test_an_email_has_the_texts_dates_and_countries_of_an_added_language():
    subject, text, html = render_payload({**PAYLOAD, "newDevice": True, "signals": {"after_failures": 3}}, "kk-KZ")
    assert subject == "🔐 Жаңа құрылғыдан кіру - Yellow Books"
    assert "Сәлеметсіз бе, Бат-Эрдэнэ!" in text
    assert "3 қате құпиясөзден кейін" in text
    assert "Уақыты: 19 Желтоқсан 2025, 16:03 (" in text
    assert "Орны (шамамен): Моңғолия\n" in text
    assert '<html lang="kk" dir="ltr"' in html


@pytest.mark.usefixtures("kazakh")
def test_a_text_that_the_catalogue_lacks_is_in_the_language_of_the_site(settings):
    settings.SITE_NAMES = {}
    assert "«Yellow Books» дахь таны бүртгэлд нэвтэрсэн" in render_payload(PAYLOAD, "kk")[1]
    assert account_email("confirm_address", "kk")[0] == account_email("confirm_address", "mn")[0]


@pytest.mark.usefixtures("kazakh")
def test_an_added_language_can_be_chosen_wherever_a_language_is_chosen():
    assert choose_language("kk_KZ") == "kk"
    assert fields.language("kk") == "kk"
    assert check_language("kk") is None
    assert previewed() == ["mn", "en", "kk"]
    assert ("kk", "Қазақ тілі") in PreferencesForm().fields["language"].choices
    assert dict(site_context(RequestFactory().get("/"))["LANGUAGES"])["kk"] == "Қазақ тілі"


def test_without_it_that_language_is_refused_or_replaced_by_the_one_of_the_site():
    assert choose_language("kk") == "mn"
    with pytest.raises(ValueError, match="must be one of 'mn' or 'en'"):
        fields.language("kk")
    with pytest.raises(FieldError):
        check_language("kk")
    assert not dict(PreferencesForm().fields["language"].choices).keys() & {"kk"}


@pytest.mark.parametrize(
    ("locale", "code"), [("en-GB", "en"), ("mn_Cyrl_MN", "mn"), ("", "mn"), ("e" * 10_000, "mn"), ("\0", "mn")]
)
def test_a_locale_is_matched_to_a_language_and_never_raises(locale, code):
    assert choose_language(locale) == code


def test_a_variant_of_a_language_is_a_language_of_its_own(settings):
    settings.LANGUAGES = [("mn", "Монгол"), ("pt-br", "Português Brasileiro")]
    assert [choose_language(locale) for locale in ("pt-BR", "pt_br", "pt", "pt-PT")] == ["pt-br"] * 4


def test_a_right_to_left_language_has_emails_in_that_direction(settings):
    settings.LANGUAGES = [("mn", "Монгол"), ("ar", "العربيّة")]
    html = render_payload(PAYLOAD, "ar")[2]
    assert '<html lang="ar" dir="rtl"' in html
    assert "text-align: right" in html.replace("text-align:right", "text-align: right")


def test_the_folder_of_the_site_precedes_its_own_texts(settings, tmp_path):
    write_catalogue(tmp_path, "en", {"mail\x04New sign-in to your account": "Your account was used"})
    settings.LOCALE_PATHS = locale_folders(str(tmp_path), ROOT / "locale")
    with templates(Templates.USABLE):  # without the parts that earlier tests made
        assert "Your account was used" in render_payload(PAYLOAD, "en")[0]


@pytest.mark.parametrize(
    ("codes", "default", "fault"),
    [
        ("mn,en,xx", "mn", ("LANGUAGES", "'xx' is not a language that Django knows: write mn,en,kk, for example")),
        ("mn,pt-Br", "mn", ("LANGUAGES", "'pt-Br' is not a language that Django knows: did you mean pt-br?")),
        ("mn,mn", "mn", ("LANGUAGES", "names mn twice")),
        ("mn,en", "kk", ("LANGUAGE_CODE", "'kk' is not one of mn, en (LANGUAGES)")),
        (
            "mn,kk",
            "mn",
            (
                "LANGUAGES",
                "kk has no catalogue: set LOCALE_DIR to a folder with kk/LC_MESSAGES/django.mo (docs/languages.md)",
            ),
        ),
    ],
)
def test_a_language_that_cannot_be_used_is_refused(codes, default, fault):
    assert found(codes, default) == [fault]


def test_languages_with_a_catalogue_or_in_english_are_accepted():
    assert found("mn,en,kk,en-gb", added=LOCALE_DIR) == []
    assert found("en", "en") == []


def test_a_name_of_the_site_in_a_language_that_is_not_offered_is_refused():
    assert found("mn,en", names={"kk": "Сары беттер"}) == [("SITE_NAMES", "'kk' is not one of mn, en (LANGUAGES)")]


def test_a_catalogue_that_is_not_compiled_or_damaged_is_refused(tmp_path):
    shutil.copytree(LOCALE_DIR / "kk", tmp_path / "kk")
    file = tmp_path / "kk" / "LC_MESSAGES" / "django.mo"
    assert found("mn,kk", added=tmp_path) == []
    file.write_bytes(file.read_bytes()[:60])
    assert [fault[1].partition(" is not a catalogue")[0] for fault in found("mn,kk", added=tmp_path)] == [str(file)]
    file.unlink()
    assert f"{file.with_suffix('.po')} is not compiled: run make language" in found("mn,kk", added=tmp_path)[0][1]
    write_catalogue(tmp_path, "kk", {}, header="Content-Type: text/plain; charset=UTF-8\n")
    assert "has no header Plural-Forms" in found("mn,kk", added=tmp_path)[0][1]


def test_a_language_is_named_by_its_folder_or_by_django(tmp_path):
    assert named(["mn", "en", "kk", "de"], [LOCALE_DIR, ROOT / "locale"]) == [
        ("mn", "Монгол"),
        ("en", "English"),
        ("kk", "Қазақ тілі"),
        ("de", "Deutsch"),
    ]
    (tmp_path / "mn").mkdir()
    (tmp_path / "mn" / "cldr.json").write_text(json.dumps({"name": 7 * [1]})[:-1])
    assert named(["mn"], [tmp_path, ROOT / "locale"]) == [("mn", "Монгол")]


@pytest.mark.parametrize("value", ["mn", "mn=", "=", f"mn={'x' * 61}"])
def test_a_name_of_the_site_without_its_language_is_refused(value):
    with pytest.raises(Exception, match="write mn=Шар хуудас" if value != "=" else "write"):
        parse_names(value)


def test_the_site_has_a_name_in_each_language_that_has_one(settings):
    settings.SITE_NAMES = parse_names("mn=Шар хуудас")
    assert render_payload(PAYLOAD, "mn")[0].endswith(" - Шар хуудас")
    assert "Шар хуудас" in account_email("way_back", "mn")[1]
    assert render_payload(PAYLOAD, "en")[0].endswith(" - Yellow Books")
    with override("mn"):
        assert site_context(RequestFactory().get("/"))["SITE_NAME"] == "Шар хуудас"
    shop = {"name": "Shop", "url": "https://shop.example"}
    assert render_payload({**PAYLOAD, "site": shop}, "mn")[0].endswith(" - Shop")


def test_a_new_catalogue_has_every_text_and_keeps_its_translations(tmp_path, capsys):
    assert language.main(tmp_path, "kk") == 0
    file = tmp_path / "kk" / "LC_MESSAGES" / "django.po"
    texts = file.read_text()
    assert "Plural-Forms: nplurals=2" in texts
    assert 'msgid "Sign-in from a new device"\nmsgstr ""\n' in texts
    assert "Шинэ" not in texts
    file.write_text(
        texts.replace('msgid "Sign in"\nmsgstr ""', 'msgid "Sign in"\nmsgstr "Кіру"').replace("Hello,", "Hi,")
    )
    assert language.main(tmp_path, "kk") == 0
    texts = file.read_text()
    assert 'msgid "Sign in"\nmsgstr "Кіру"' in texts
    assert 'msgid "Hello,"\nmsgstr ""\n' in texts
    assert '"Hi,"' not in texts
    assert found("mn,kk", added=tmp_path) == []
    first, second = (
        re.search(r"(\d+) texts, (\d+) without", line).groups() for line in capsys.readouterr().out.splitlines()
    )
    assert first[0] == first[1] == second[0]
    assert int(second[1]) == int(second[0]) - 1
    assert language.main(tmp_path, "klingon") == 1
