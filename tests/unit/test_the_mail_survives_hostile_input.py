"""Names, providers and the fields of the HTTP API come from attackers."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.mail import content
from accounts.mail.rendering import render_content, render_payload
from accounts.mail.sanitize import defang, mask_address, plain_text
from jobs.core.errors import Permanent
from tests.support.mail import PAYLOAD, delivering_to, send
from tests.support.smtp_server import SmtpServer

FILLER = "\u034f\u200c"  # of our own, behind the preheader
FIELDS = [*PAYLOAD, "moreSignIns"]
JSON = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text(), max_size=2)
PAYLOADS = st.dictionaries(st.sampled_from(FIELDS), JSON)


@settings(max_examples=300, deadline=None)
@given(PAYLOADS)
def test_no_payload_raises_or_brings_an_invisible_character_into_the_mail(payload):
    for part in render_content(content.write_content(payload)):
        invisible = {c for c in part.replace(FILLER, "") if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co", "Cn"}}
        assert invisible <= {"\n"}


@pytest.mark.parametrize("field", ["name", "provider", "browser", "system", "ipAddress", "email"])
def test_markup_is_text_in_the_html_part(field):
    html = render_payload({**PAYLOAD, field: "<img src=x onerror=alert(1)>\"'&"}, "en")[2]
    assert "<img" not in html
    assert "onerror=alert(1)>" not in html


@pytest.mark.parametrize("field", ["name", "provider", "browser", "system"])
def test_a_link_in_a_value_is_not_a_link_for_a_mail_program(field):
    value = "Win at https://evil.mn/x or www.evil.mn"
    _subject, text, html = render_payload({**PAYLOAD, field: value}, "en")
    for part in (text, html):
        assert "evil.mn" not in part
        assert "https://evil" not in part
    assert "evil. mn" in text


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("https://evil.mn/x", "https evil. mn/x"),
        ("http:\\\\evil.mn", "http evil. mn"),
        ("evil。mn", "evil. mn"),
        ("J.R. Bold", "J. R. Bold"),
        ("Бат-Эрдэнэ Д.", "Бат-Эрдэнэ Д."),
    ],
)
def test_links_are_defused_and_names_stay_readable(given, shown):
    assert defang(given) == shown


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("Bat\r\nBcc: all@example.mn", "Bat Bcc: all@example.mn"),
        ("\u202eevil\u202c \u2066x\u2069\u200b", "evil x"),
        ("a\ue000name\ue001", "aname"),
        ("Бат\u0000\u2028Болд", "Бат Болд"),
        ("B" + "\u0301" * 200, "B" + "\u0301" * 3),
        (["a"], ""),
        (None, ""),
        ("\ud800x", "x"),
    ],
)
def test_only_visible_characters_of_one_line_are_kept(given, shown):
    assert plain_text(given, 60) == shown


def test_a_long_value_is_cut():
    assert plain_text("Б" * 100_000, 60) == "Б" * 59 + "…"
    assert len(render_payload({**PAYLOAD, "name": "Ө" * 100_000, "browser": "X" * 100_000}, "mn")[2].encode()) < 20_000


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
    ],
)
def test_an_address_of_the_internet_is_shown_in_its_usual_form(given, shown):
    assert f"IP address: {shown}\n" in render_payload({**PAYLOAD, "ipAddress": given}, "en")[1]


@pytest.mark.parametrize("given", ["fe80::1%<b>", "203.0.113.7, 10.0.0.1", "evil.mn", "1" * 10_000, 7, None])
def test_an_address_outside_the_internet_is_not_shown(given):
    assert "IP address" not in render_payload({**PAYLOAD, "ipAddress": given}, "en")[1]


@pytest.mark.parametrize(
    ("address", "shown"),
    [("bat@x.mn", "b***@x.mn"), ("@x.mn", "***@x.mn"), ("bat", "b***"), ("b@t@x.mn", "b***@t@x.mn"), ("", "")],
)
def test_masking_shows_one_letter_of_the_part_before_the_at(address, shown):
    assert mask_address(address) == shown


@pytest.fixture
def server(settings):
    with delivering_to(SmtpServer(), settings) as running:
        yield running


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("", "no mail address"),
        (None, "no mail address"),
        (7, "no mail address"),
        ("bat@example.mn\r\nBcc: all@example.mn", "line break"),
        ("bat\x00@example.mn", "control character"),
        ("бат@example.mn", "letters that mail servers do not take"),
        ("b" * 500 + "@example.mn", "500 characters long"),
        ("b@" + ".".join(["d" * 60] * 5), "characters long, mail servers take 254"),
        ("bat", "needs one @"),
        ("@example.mn", "needs one @"),
        ("bat@", "needs one @"),
        ("a@b@example.mn", "take none"),
        ("bat bold@example.mn", "take none"),
        ("<bat>@example.mn", "take none"),
        ("bat..bold@example.mn", "take none"),
        ("bat@exa mple.mn", "not a valid domain"),
        ("bat@-example.mn", "not a valid domain"),
        ("bat@example..mn", "not a valid domain"),
        ("bat@" + "d" * 64 + ".mn", "not a valid domain"),
    ],
)
def test_an_unusable_address_is_refused_before_the_mail_server_is_asked(server, address, reason):
    with pytest.raises(Permanent) as refused:
        send(email=address)
    assert reason in str(refused.value)
    assert "example" not in str(refused.value)
    assert server.connections == 0


def test_a_domain_of_other_letters_travels_in_punycode(server):
    send(email="bat@шархуудас.мон")
    (mail,) = server.mails
    assert mail.rcpt == ["bat@" + "шархуудас.мон".encode("idna").decode()]
    assert mail.message["To"] == mail.rcpt[0]


def test_a_name_cannot_add_a_header_or_a_recipient(server):
    send(name="Bat\r\nBcc: all@example.mn", provider="x\r\nX-Evil: 1", locale="mn\r\nX-Evil: 1")
    (mail,) = server.mails
    assert mail.rcpt == ["bat@example.mn"]
    assert mail.message["Bcc"] is None
    assert mail.message["X-Evil"] is None


def test_a_header_that_cannot_be_built_is_a_permanent_error(server, settings):
    settings.SITE_NAMES = {"mn": "Шар\nхуудас"}
    with pytest.raises(Permanent, match="header of the mail cannot be built"):
        send()
    assert server.mails == []
