"""Every variant of every email: one frame, a preview line, no English in the Mongolian one, all of it in the text."""

import re

import pytest

from accounts.notices.account import LINKS
from accounts.previews.registry import all_variants, brands, find_variant, variants_of
from accounts.sign_in.event import AccountChange
from jobs.design import PALETTES
from tests.unit.test_the_mail_says_what_happened import Visible

NAMES = {
    *("Yellow", "Books", "Example", "Shop", "ID", "Chrome", "Windows", "GitHub", "Google", "Settings", "Sessions"),
    *("Applications", "UTC", "IP", "API", "passkey", "saraa", "s", "shop", "example", "testserver", "nk"),
}
MAILS = [(site, variant.name) for site, brand in brands().items() for variant in variants_of(brand)]
each_language = pytest.mark.parametrize("language", ["mn", "en"])
each_mail = pytest.mark.parametrize(("site", "name"), MAILS)


def made(site, name, language):
    brand = brands()[site]
    return find_variant(name, brand).build(language, brand)


@each_language
@each_mail
def test_the_frame_is_that_of_every_email_and_safe_in_classic_outlook(site, name, language):
    mail = made(site, name, language)
    html = mail.html
    assert mail.subject.endswith(f" - {brands()[site].name_in(language)}")
    assert re.findall("<div([^>]*)>", html)[0] == ' role="main"'
    assert html.count("<div") == 2, "the preview line is the only other one: the layout is made of tables"
    colours = PALETTES[brands()[site].own]["light"]
    assert re.findall('bgcolor="(#[0-9a-f]+)"', html)[:3] == [colours["page"], colours["page"], colours["card"]]
    assert '<!--[if mso]><table role="presentation" width="600"' in html
    links = re.findall("<a [^>]*>", html)
    assert links
    assert all(re.search('style="[^"]*color:#', link) for link in links), "a link in blue cannot be read in the dark"
    preview = re.search('class="preheader"[^>]*>([^<]*)', html)[1]
    assert re.match(r"[A-ZА-ЯӨҮ\d]", preview.strip()) or preview.startswith(("saraa", "shop")), preview[:40]


@each_language
@each_mail
def test_the_text_part_has_every_value_and_link_of_the_html_part(site, name, language):
    mail = made(site, name, language)
    seen, plain = Visible(mail.html), " ".join(mail.text.split())
    assert all(link.removeprefix("mailto:") in plain for link in seen.links)
    assert all(word in plain for words in seen.texts for word in re.findall(r"\d[\d.:]+|[\w*]+@[\w.]+", words))
    assert not re.search(r"<(h1|p|title)[^>]*>\s*</", mail.html)
    assert not re.search(r"[{}\ue000\ue001]", mail.subject + plain)


@pytest.mark.parametrize(("site", "name"), [mail for mail in MAILS if not mail[1].startswith("alert.")])  # commands
def test_no_english_is_left_in_the_mongolian_email(site, name):
    mail = made(site, name, "mn")
    words = re.sub(r"http\S+|\S+@\S+", "", " ".join([mail.subject, mail.text, *Visible(mail.html).texts]))
    assert set(re.findall("[A-Za-z]+", words)) <= NAMES


def test_each_change_has_words_of_its_own():
    texts = {what: made("own", f"changed.{what.replace('_', '-')}", "en").text for what in AccountChange.What.values}
    assert len({re.sub(r"http\S+", "", text) for text in texts.values()}) == len(texts)


def test_each_kind_of_email_has_a_variant_and_each_variant_a_name_of_its_own():
    names = [variant.name for variant in all_variants()]
    kinds = {name.partition(".")[0].replace("-", "_") for name in names}
    assert kinds == {*LINKS, "sign_in", "alert"}
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[A-Za-z0-9.-]+", name) for name in names)
