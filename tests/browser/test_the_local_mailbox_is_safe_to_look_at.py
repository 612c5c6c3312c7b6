"""/dev/mailbox/: what a mail holds is shown, and can do nothing."""

import smtplib
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from urllib.parse import quote

import pytest
from axe_playwright_python.sync_playwright import Axe

from notifier.dev.mailbox import Mailbox
from tests.support.machine import HERE, eventually
from tests.support.site import Site

HOSTILE = """<!DOCTYPE html><html lang="mn"><head><title>x</title></head><body>
<p>Сайн байна уу</p><script>parent.document.title = document.title = "broken into"</script>
<img src="/static/icon.svg?pixel" alt="" onerror="document.title = 'broken into'">
<form action="/accounts/logout/"><button>Press</button></form><a href="https://example.mn/">Холбоос</a></body></html>"""


@pytest.fixture(scope="module")
def site():
    with Site(DEBUG="1") as running:
        del running.environment["EMAIL_HOST"]  # so that mail is caught
        running.start("mail", "web")
        yield running


def send(site, subject="Гарчиг", text="Сайн байна уу", html=HOSTILE, **headers):
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = subject, "a@example.mn", "Болд <bold@example.mn>"
    for name, value in headers.items():
        mail[name.replace("_", "-")] = value
    mail.set_content(text)
    if html:
        mail.add_alternative(html, subtype="html")
    with smtplib.SMTP(HERE, site.email_port) as smtp:
        smtp.send_message(mail)


def send_raw(site, content):
    with smtplib.SMTP(HERE, site.email_port) as smtp:
        smtp.sendmail("a@example.mn", ["bold@example.mn"], content)


def newest(site):
    return Mailbox(site.folder / "mailbox").names()[0]


@pytest.fixture
def page(browser, site):
    context = browser.new_context(locale="en-US")
    yield context.new_page()
    context.close()


def test_the_newest_mail_is_on_top_and_opens(page, site):
    send(site, "older")
    send(site, "newer")
    page.goto(f"{site.url}/dev/mailbox/")
    assert page.locator("tbody th").all_inner_texts()[:2] == ["newer", "older"]
    page.keyboard.press("Tab")
    page.get_by_role("link", name="newer").first.press("Enter")
    assert page.frame_locator("iframe").locator("p").inner_text() == "Сайн байна уу"
    assert page.locator("pre").inner_text().strip() == "Сайн байна уу"
    assert page.get_by_role("row", name="To Болд <bold@example.mn>").count() == 1


def test_no_script_form_or_remote_image_of_a_mail_does_anything(page, site):
    asked = []
    send(site)
    page.on("response", lambda response: asked.append(response.url))
    page.goto(f"{site.url}/dev/mailbox/{newest(site)}/")
    page.frame_locator("iframe").get_by_role("button").click()
    page.goto(f"{site.url}/dev/mailbox/{newest(site)}/html")
    assert page.title() == "x"
    page.get_by_role("button").click()
    assert not any("pixel" in url or "logout" in url for url in asked)


def test_a_link_of_a_mail_opens_in_a_tab_of_its_own(page, site):
    send(site, html=f'<html><head></head><body><a href="{site.url}/accounts/login/">here</a></body></html>')
    page.goto(f"{site.url}/dev/mailbox/{newest(site)}/")
    with page.expect_popup() as popup:
        page.frame_locator("iframe").get_by_role("link").click()
    assert popup.value.locator("form").count()


@pytest.mark.parametrize(("language", "scheme", "width"), [("mn-MN", "light", 360), ("en-US", "dark", 1280)])
def test_the_pages_have_no_fault_of_accessibility_and_do_not_scroll_sideways(browser, site, language, scheme, width):
    send(site, "Маш урт " + "гарчиг" * 40, text="x" * 400)
    context = browser.new_context(locale=language, color_scheme=scheme, viewport={"width": width, "height": 800})
    page = context.new_page()
    for path in ("/dev/mailbox/", f"/dev/mailbox/{newest(site)}/"):
        page.goto(site.url + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert Axe().run(page, options={"iframes": False}).response["violations"] == []
        assert page.locator("html").get_attribute("lang") == language[:2]
    context.close()


@pytest.mark.parametrize(
    "path",
    [
        "0/",
        "1" * 19 + "/",
        "1" * 19 + "/html",
        "1" * 19 + "/raw",
        "1" * 20 + "/",
        "..%2f..%2fmanage.py/",
        "١" * 19 + "/",
    ],
)
def test_a_mail_that_is_not_there_is_a_404(site, path):
    assert site.get(f"/dev/mailbox/{quote(path, safe='/%')}")[0] == 404


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no header at all",
        b"Subject: =?utf-8?q?=FF=FE?=\r\nTo: =?nonsense?b?!!!?=\r\n\r\nx",
        b"Subject: \xff\xfe raw bytes\r\nContent-Type: text/html; charset=nonsense\r\n\r\n<p>\xff</p>",
        b'Content-Type: multipart/mixed; boundary="never"\r\n\r\n--nev',
        b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!not base64",
        b"To: " + b"a@example.mn,\r\n " * 5000 + b"\r\nSubject: many\r\n\r\nx",
    ],
)
def test_a_malformed_mail_is_still_shown(site, content):
    send_raw(site, content)
    assert site.get("/dev/mailbox/")[0] == 200
    assert site.get(f"/dev/mailbox/{newest(site)}/")[0] == 200
    assert site.get(f"/dev/mailbox/{newest(site)}/html")[0] in (200, 404)


def test_only_reading_is_allowed(site):
    with pytest.raises(urllib.error.HTTPError, match=r"40[35]"):
        urllib.request.urlopen(f"{site.url}/dev/mailbox/", data=b"x")


def test_mails_that_arrive_at_the_same_time_are_all_stored_whole(site):
    before = len(site.mails())
    with ThreadPoolExecutor(10) as senders:
        list(senders.map(lambda number: send(site, f"parallel {number}"), range(50)))
    eventually(lambda: len(site.mails()) == before + 50)
    assert {f"parallel {number}" for number in range(50)} <= {mail["subject"] for mail in site.mails()}


def test_the_last_five_hundred_are_kept(tmp_path):
    mailbox = Mailbox(tmp_path)
    names = [mailbox.add(b"Subject: x\r\n\r\n") for _ in range(510)]
    assert mailbox.names() == names[:9:-1]
