"""The HTML part in a browser: phone and desktop, light and dark, both languages, routine and alert."""

import os

import pytest
from axe_playwright_python.sync_playwright import Axe

from accounts.mail.rendering import render_payload
from accounts.previews.registry import brands, find_variant, variants_of
from jobs.design import PALETTES
from tests.support.mail import PAYLOAD

SCREENS = [(360, "light"), (1280, "dark")]  # each value once; make test-world has each pair of values
if os.environ.get("WORLD"):
    SCREENS += [(360, "dark"), (1280, "light")]
EVERY_MAIL = [(site, variant.name) for site, brand in brands().items() for variant in variants_of(brand)]
MAILS = [*{(site, name.partition(".")[0]): (site, name) for site, name in reversed(EVERY_MAIL)}.values()][::-1]
if os.environ.get("WORLD"):  # otherwise one of each kind, of each site
    MAILS = EVERY_MAIL


@pytest.fixture(params=SCREENS, ids=str)
def page(browser, request):
    width, scheme = request.param
    context = browser.new_context(viewport={"width": width, "height": 700}, color_scheme=scheme)
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("locale", ["mn", "en"])
@pytest.mark.parametrize("new_device", [False, True])
def test_nothing_is_wider_than_the_screen_or_hard_to_read(page, locale, new_device):
    long = {"name": "Ө" * 60, "browser": "X" * 40, "ipAddress": "2001:db8:85a3:1111:2222:8a2e:3700:7334"}
    page.set_content(render_payload({**PAYLOAD, **long, "newDevice": new_device, "moreSignIns": 4}, locale)[2])
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert [violation["id"] for violation in Axe().run(page).response["violations"]] == []


@pytest.mark.parametrize("locale", ["mn", "en"])
@pytest.mark.parametrize(("site", "name"), MAILS)
def test_every_email_fits_and_is_easy_to_read_too(page, locale, site, name):
    brand = brands()[site]
    page.set_content(find_variant(name, brand).build(locale, brand).html)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert [violation["id"] for violation in Axe().run(page).response["violations"]] == []


def test_the_column_is_600_pixels_at_most(page):
    page.set_content(render_payload(PAYLOAD, "mn")[2])
    assert page.locator(".column").bounding_box()["width"] <= 600


def test_dark_is_dark_and_light_is_light(page):
    page.set_content(render_payload(PAYLOAD, "mn")[2])
    dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    card = page.evaluate("getComputedStyle(document.querySelector('.card')).backgroundColor")
    colour = PALETTES[True]["dark" if dark else "light"]["card"]
    assert card == f"rgb({', '.join(str(int(colour[at : at + 2], 16)) for at in (1, 3, 5))})"
