"""The words of the mail, in both languages."""

import re
from html.parser import HTMLParser

import pytest
from django.core import signing

from accounts.links import dispute_links
from accounts.mail.rendering import render_payload
from tests.support.mail import PAYLOAD

VOID_OF_WORDS = {"style", "title"}


class Visible(HTMLParser):
    """The texts a reader of the HTML part sees, and where its links lead."""

    def __init__(self, html):
        super().__init__()
        self.texts, self.links, self._inside, self._hidden = [], [], [], 0
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self._inside.append(tag)
        self.links += [value for name, value in attrs if name == "href"]
        self._hidden += ("class", "preheader") in attrs

    def handle_endtag(self, tag):
        if tag == "div":
            self._hidden = 0

    def handle_data(self, data):
        words = " ".join(data.split())
        if words and not self._hidden and self._inside[-1] not in VOID_OF_WORDS:
            self.texts.append(words)


def written(locale="mn", **changes):
    return render_payload({**PAYLOAD, **changes}, locale)


@pytest.mark.parametrize(
    ("locale", "new_device", "subject"),
    [
        ("mn", False, "🔐 Таны бүртгэлд нэвтэрсэн байна - Шар хуудас"),
        ("mn", True, "🔐 Шинэ төхөөрөмжөөс таны бүртгэлд нэвтэрлээ - Шар хуудас"),
        ("en", False, "🔐 New sign-in to your account - Yellow Books"),
        ("en", True, "🔐 Sign-in from a new device - Yellow Books"),
    ],
)
def test_the_subject_and_the_head_tell_a_new_device_from_a_routine_sign_in(locale, new_device, subject):
    found, text, html = written(locale, newDevice=new_device)
    head = subject.removeprefix("🔐 ").partition(" - ")[0]
    assert found == subject
    assert head in text
    assert f">{head}</h1>" in html


@pytest.mark.parametrize("locale", ["mn", "en"])
@pytest.mark.parametrize("new_device", [False, True])
@pytest.mark.parametrize("provider", ["password", "github", "google", ""])
@pytest.mark.parametrize("sign_in_id", ["6f0c2a52-4a3f-4d7e-9a53-0c9c5c7a7b11", None])
def test_the_text_part_says_everything_the_html_part_says(locale, new_device, provider, sign_in_id):
    changes = {"newDevice": new_device, "provider": provider, "signInId": sign_in_id, "moreSignIns": 4}
    _subject, text, html = written(locale, **changes)
    seen = Visible(html)
    plain = " ".join(text.split())
    assert [words for words in seen.texts if words.strip("■ ") not in plain] == []
    assert all(link.removeprefix("mailto:") in plain for link in seen.links)
    assert "{" not in plain
    assert "\ue000" not in html


@pytest.mark.parametrize("provider", ["password", "github", "google", "admin", "credentials", ""])
@pytest.mark.parametrize("new_device", [False, True])
@pytest.mark.parametrize("sign_in_id", ["x", None])
def test_no_english_is_left_in_the_mongolian_mail(provider, new_device, sign_in_id):
    changes = {"newDevice": new_device, "provider": provider, "signInId": sign_in_id, "browser": "", "moreSignIns": 1}
    names = {"Yellow", "Books", "Windows", "GitHub", "Google", "Settings", "Sessions", "UTC", "IP", "b"}
    subject, text, html = written(**changes)
    words = re.sub(r"http\S+|\S+@\S+|testserver", "", " ".join([subject, text, *Visible(html).texts]))
    assert set(re.findall("[A-Za-z]+", words)) <= names


@pytest.mark.parametrize(
    ("locale", "zone", "timestamp", "shown"),
    [
        (
            "mn",
            "Asia/Ulaanbaatar",
            "2025-12-19T08:03:11Z",
            "2025 оны 12 сарын 19, 16:03 (Улаанбаатарын цагаар, UTC+8)",
        ),
        ("mn", "Asia/Hovd", "2025-07-01T20:30:00+00:00", "2025 оны 7 сарын 2, 03:30 (Ховдын цагаар, UTC+7)"),
        ("mn", "Asia/Choibalsan", "2025-12-19T08:03:11", "2025 оны 12 сарын 19, 16:03 (Улаанбаатарын цагаар, UTC+8)"),
        ("mn", "Europe/Berlin", "2025-07-01T10:00:00Z", "2025 оны 7 сарын 1, 12:00 (Berlin, UTC+2)"),
        ("en", "Asia/Ulaanbaatar", "2025-12-19T08:03:11Z", "19 December 2025, 16:03 (Ulaanbaatar time, UTC+8)"),
        ("en", "America/New_York", "2025-12-19T08:03:11Z", "19 December 2025, 03:03 (New York time, UTC-5)"),
        ("en", "Asia/Kolkata", "2025-12-19T08:03:11Z", "19 December 2025, 13:33 (Kolkata time, UTC+5:30)"),
        ("en", "UTC", "2025-12-19T08:03:11Z", "19 December 2025, 08:03 (UTC)"),
    ],
)
def test_the_time_is_the_persons_with_its_zone_named(locale, zone, timestamp, shown):
    _subject, text, html = written(locale, timezone=zone, timestamp=timestamp)
    assert shown in text
    assert shown in html


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../../etc/passwd", "", None, 8, "a" * 10_000])
def test_an_unknown_zone_is_the_sites_own(zone):
    assert "16:03 (Улаанбаатарын цагаар, UTC+8)" in written(timezone=zone)[1]


@pytest.mark.parametrize(
    ("locale", "greeting"),
    [("mn-MN", "Сайн байна уу"), ("en_US", "Hello"), ("EN", "Hello"), ("xx", "Сайн байна уу"), (None, "Сайн байна уу")],
)
def test_a_locale_is_known_by_its_language_and_an_unknown_one_is_the_sites_own(locale, greeting):
    assert greeting in written(locale)[1]


@pytest.mark.parametrize(
    "timestamp", ["yesterday", "", None, 1766131391, "0001-01-01T00:00:00+14:00", "9999-12-31T23:59"]
)
def test_an_invalid_time_is_called_unknown(timestamp):
    assert "Time: Unknown" in written("en", timestamp=timestamp)[1]


@pytest.mark.parametrize(
    ("browser", "system", "shown"),
    [("Chrome", "Windows", "Chrome, Windows"), ("", "iOS", "iOS"), ("Safari", "", "Safari"), ("", "", "Unknown")],
)
def test_the_device_is_its_families(browser, system, shown):
    assert f"Device: {shown}\n" in written("en", browser=browser, system=system)[1]


def test_a_row_without_a_value_is_left_out():
    _subject, text, html = written("en", ipAddress="", provider="")
    assert "IP address" not in text + html
    assert "Signed in with" not in text + html


def test_the_account_is_masked_and_its_address_is_nowhere_in_the_mail():
    for words in written("en", name="bat@example.mn"):
        assert "bat@example.mn" not in words
    assert "Account: b***@example.mn" in written("en")[1]


@pytest.mark.parametrize("locale", ["mn", "en"])
def test_a_user_who_signed_in_with_github_is_not_advised_to_change_a_password(locale):
    said = "".join(written(locale, provider="github")).lower()
    assert "password" not in said
    assert "нууц үг" not in said
    assert "github" in said


def test_each_other_way_of_signing_in_has_advice_of_its_own():
    assert "Change your password" in written("en", provider="credentials")[1]
    assert "another service (Google)" in written("en", provider="google")[1]
    assert "another service (Okta)" in written("en", provider="okta")[1]
    assert "security settings of your account" in written("en", provider=None)[1]
    assert "remove each one that you do not know" in written("en", provider="passkey")[1]
    assert "remove each one that you do not know" in written("en", provider="webauthn")[1]
    assert "check your passkeys" in written("en", provider="password", secondFactor="code")[1]


@pytest.mark.parametrize(
    ("values", "way"),
    [
        ({"provider": "passkey"}, "Passkey"),
        ({"provider": "password", "secondFactor": "code"}, "Password and a code"),
        ({"provider": "github", "secondFactor": "passkey"}, "GitHub and a passkey"),
        ({"provider": "password", "secondFactor": "recovery_code"}, "Password and a recovery code"),
        ({"provider": "password", "secondFactor": "unheard of"}, "Password"),
        ({"provider": "password", "secondFactor": ["code"]}, "Password"),
    ],
)
def test_the_method_names_the_second_factor(values, way):
    for part in written("en", **values)[1:]:
        assert re.search(rf"\b{way}\b(?! and)", part)


@pytest.mark.parametrize(
    ("provider", "way", "advice"),
    [
        ("nodemailer", "A link in an email", "secure the mailbox"),
        ("email", "A link in an email", "secure the mailbox"),
        ("resend", "A link in an email", "secure the mailbox"),
        ("passkey", "Passkey", "Check the passkeys of your account"),
        ("webauthn", "Passkey", "Check the passkeys of your account"),
        ("microsoft-entra-id", "Microsoft", "another service (Microsoft)"),
        ("azure-ad", "Microsoft", "another service (Microsoft)"),
        ("twitter", "X", "another service (X)"),
        ("our-own-sso", "our-own-sso", "Check the security settings of your account"),
        ("sms", "sms", "Check the security settings of your account"),
    ],
)
def test_the_ids_of_known_libraries_are_named_and_unknown_ones_are_not_another_service(provider, way, advice):
    _subject, text, html = written("en", provider=provider)
    assert f"Signed in with: {way}\n" in text
    for part in (text, html):
        assert advice in part
        assert ("another service" in part) == ("another service" in advice)


@pytest.mark.parametrize(
    ("count", "line"),
    [
        (1, "There was 1 more sign-in since our last email to you."),
        (4, "There were 4 more sign-ins since our last email to you."),
    ],
)
def test_sign_ins_the_limit_held_back_are_counted_in_one_line(count, line):
    _subject, text, html = written("en", moreSignIns=count)
    assert line in text
    assert line in html
    assert f"дахин {count} удаа нэвтэрсэн байна" in written("mn", moreSignIns=count)[1]


@pytest.mark.parametrize("count", [0, None, -3, "4", True, 2.5])
def test_without_such_sign_ins_there_is_no_line(count):
    assert "more sign-in" not in written("en", moreSignIns=count)[1]


def test_a_sign_in_here_has_a_button_and_a_way_without_clicking():
    _subject, text, html = written("en")
    link = Visible(html).links[0]
    token = re.fullmatch("http://testserver/accounts/not-me/(.+)/", link)[1]
    named = signing.loads(token, salt=f"{dispute_links.DISPUTE_SALT}:http://testserver")
    assert named.partition(":")[0] == PAYLOAD["signInId"]
    assert f"This wasn’t me: {link}\n" in text
    assert "Type testserver into your browser" in text


def test_a_sign_in_on_another_site_has_advice_and_a_contact_but_no_button():
    _subject, text, html = written("en", signInId=None)
    assert Visible(html).links == ["mailto:help@example.mn"]
    assert "http" not in text
    assert "the way you usually do" in text
    assert "help@example.mn" in text


def test_the_html_part_keeps_its_dark_styles_and_fetches_nothing():
    html = written()[2]
    assert "@media (prefers-color-scheme: dark)" in html
    assert 'name="color-scheme" content="light dark"' in html
    assert '<html lang="mn"' in html
    assert re.search('<th scope="row" [^>]*style="', html)
    assert not re.search(r"<img|<link|<script|url\(|src=", html)
