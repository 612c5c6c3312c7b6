"""The button "This wasn't me" of an email, and its page: pressed in a browser, or by posting its form."""

import re
import time
import urllib.parse
import urllib.request
from email.message import EmailMessage
from http.cookiejar import CookieJar
from pathlib import Path

from playwright.sync_api import Browser

from tests.support.machine import eventually
from tests.support.site import Site


def latest_mail(notifier: Site, brand: str, address: str, count: int) -> EmailMessage:
    """Return the last email in the name of a site to an address, when `count` of them have arrived."""

    def found() -> list[EmailMessage]:
        return [mail for mail in notifier.mails() if mail["To"] == address and brand in str(mail["Subject"])]

    return eventually(lambda: len(mails := found()) >= count and mails)[-1]


def link_in(mail: EmailMessage) -> str:
    """Return the link of the button."""
    part = mail.get_body(("plain",))
    assert part is not None
    (link,) = re.findall(r"https?://\S+/not-me/\S+", part.get_content())
    return link


def post_form(link: str) -> str:
    """Open the page and answer "not me", as a browser without scripts does; return the page that follows."""
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    with opener.open(link, timeout=20) as page:
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.read().decode())
    assert token
    form = urllib.parse.urlencode({"csrfmiddlewaretoken": token[1], "answer": "not-me"}).encode()
    request = urllib.request.Request(link, form, {"Referer": link})
    with opener.open(request, timeout=20) as page:
        return str(page.read().decode())


def press(browser: Browser, mail: EmailMessage, pictures: Path) -> str:
    """Press the button in the email, answer "not me" in Chromium, and return the text of the page that follows.

    pictures: the folder of the screenshots of the email and of both pages.
    """
    part = mail.get_body(("html",))
    assert part is not None
    pictures.mkdir(exist_ok=True)
    page = browser.new_page(viewport={"width": 800, "height": 900})
    try:
        page.set_content(part.get_content())
        page.screenshot(path=pictures / "email.png", full_page=True)
        page.click("a[href*='/not-me/']")
        page.wait_for_load_state()
        page.screenshot(path=pictures / "question.png", full_page=True)
        page.check("input[name=answer][value=not-me]")
        page.click("main button.main")
        page.wait_for_load_state()
        page.screenshot(path=pictures / "answer.png", full_page=True)
        return page.inner_text("main")
    finally:
        page.close()


def delivered(notifier: Site, slug: str) -> float:
    """Wait until the report of a site's user has been delivered; return the seconds since the button was pressed."""
    statement = (
        "SELECT extract(epoch FROM d.at - s.disputed_at)::float8, d.status_code FROM accounts_eventdelivery d "
        "JOIN accounts_eventendpoint e ON e.id = d.endpoint_id JOIN accounts_site o ON o.id = e.site_id "
        "JOIN accounts_signin s ON s.site_id = o.id AND s.disputed_at IS NOT NULL "
        "WHERE o.slug = %s AND d.event_type = 'sign_in.disputed' ORDER BY d.id LIMIT 1"
    )
    began = time.monotonic()
    ((seconds, status),) = eventually(lambda: notifier.sql(statement, slug))
    assert status == 204
    print(  # noqa: T201
        f"{slug}: sign_in.disputed was delivered {seconds:.2f} s after the button was pressed "
        f"(seen after {time.monotonic() - began:.2f} s)"
    )
    return float(str(seconds))
