"""Every kind of account email: one frame, a preview line, no English in the Mongolian one, all of it in the text."""

import re

import pytest

from accounts.mail.brand import site_name
from accounts.notices.account import LINKS
from accounts.pending.request import RequestKind
from accounts.sign_in.event import AccountChange
from jobs.design import PALETTES
from tests.support.mail import account_email
from tests.unit.test_the_mail_says_what_happened import Visible

KINDS = sorted(LINKS)
NAMES = {
    "Yellow",
    "Books",
    "Chrome",
    "Windows",
    "GitHub",
    "Settings",
    "Sessions",
    "Applications",
    "UTC",
    "IP",
    "API",
    "bat",
}


@pytest.mark.parametrize("language", ["mn", "en"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_frame_is_that_of_every_email_and_safe_in_classic_outlook(kind, language):
    subject, _text, html = account_email(kind, language)
    assert subject.endswith(f" - {site_name(language)}")
    assert re.findall("<div([^>]*)>", html)[0] == ' role="main"'
    assert html.count("<div") == 2, "the preview line is the only other one: the layout is made of tables"
    colours = PALETTES[True]["light"]
    assert re.findall('bgcolor="(#[0-9a-f]+)"', html)[:3] == [colours["page"], colours["page"], colours["card"]]
    assert '<!--[if mso]><table role="presentation" width="600"' in html
    links = re.findall("<a [^>]*>", html)
    assert links
    assert all(re.search('style="[^"]*color:#', link) for link in links), "a link in blue cannot be read in the dark"
    preview = re.search('class="preheader"[^>]*>([^<]*)', html)[1]
    assert re.match(r"[A-ZА-ЯӨҮ]", preview.strip()) or preview.startswith("bat"), preview[:40]


@pytest.mark.parametrize("language", ["mn", "en"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_text_part_has_every_value_and_link_of_the_html_part(kind, language):
    _subject, text, html = account_email(kind, language)
    seen, plain = Visible(html), " ".join(text.split())
    assert all(link.removeprefix("mailto:") in plain for link in seen.links)
    assert all(word in plain for words in seen.texts for word in re.findall(r"\d[\d.:]+|[\w*]+@[\w.]+", words))


@pytest.mark.parametrize("kind", KINDS)
def test_no_english_is_left_in_the_mongolian_email(kind):
    assert english(*account_email(kind, "mn")) <= NAMES


@pytest.mark.parametrize("what", AccountChange.What.values)
@pytest.mark.parametrize("kind", ["changed", "changed_digest"])
def test_each_change_has_words_of_its_own(kind, what):
    parts = [account_email(kind, language, event={"what": what}) for language in ("mn", "en")]
    assert english(*parts[0]) <= NAMES
    empty = account_email(kind, "en", event={"what": ""})
    assert parts[1][1] != empty[1]


@pytest.mark.parametrize("stage", ["asked", "cancelled", "done"])
@pytest.mark.parametrize("what", RequestKind.values)
@pytest.mark.parametrize("more", [{}, {"mayCancel": "yes"}, {"operator": "yes"}])
def test_each_request_that_waits_has_words_in_both_languages(what, stage, more):
    values = {"what": what, "stage": stage, "mayCancel": "", "operator": "", **more}
    assert english(*account_email("pending", "mn", **values)) <= NAMES
    assert not re.search(r"<(h1|p|title)[^>]*>\s*</", account_email("pending", "en", **values)[2])


def english(subject, text, html):
    """The words in Latin letters that a reader sees."""
    words = re.sub(r"http\S+|\S+@\S+", "", " ".join([subject, text, *Visible(html).texts]))
    return set(re.findall("[A-Za-z]+", words))
