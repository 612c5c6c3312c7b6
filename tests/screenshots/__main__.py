"""Pictures of the pages and emails, as contact sheets in var/screenshots/, and the pictures of the documents.

    python -m tests.screenshots [--only overview,job,emails,others] [--documents]

The twelve key pages are taken empty, full and in error, and every email, at 390 and 1440 pixels, in both languages,
light and dark; every other page once. --only: some key pages, "emails" or "others". --documents: only what docs/ shows.
Exit code 1 when a page scrolls sideways, at 390, 720 (1440 at 200 %), 1100 or 1440 pixels.
"""

import argparse
import os
import re
import shutil
import sys
from contextlib import suppress
from itertools import cycle
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

import tests.support.environment  # noqa: F401  (before Django's settings are read)
from tests.screenshots.camera import FLAGS, Camera
from tests.screenshots.pages import DOCUMENTED, FULL, KEY_PAGES, OPERATOR, OTHERS, STATES, VARIANTS, Shot, Variant
from tests.screenshots.sheets import write_sheet
from tests.support import machine
from tests.support.site import ROOT, Site

HOST = "example.mn"
FOLDER = ROOT / "var" / "screenshots"
IMAGES = ROOT / "docs" / "images"
MAILBOX = [Shot("/dev/mailbox/"), Shot("/dev/mailbox/{mail}/")]
README_MAIL, README_ADMIN = Variant(390, "mn", "light"), Variant(1440, "en", "light")


class Session:
    """One run: the site, the camera, and what was asked for."""

    def __init__(self, site: Site, camera: Camera, only: set[str], *, documents: bool) -> None:
        self.site, self.camera, self.only, self.documents = site, camera, only, documents
        self.parts: dict[str, str] = {}
        self.pictures: dict[str, dict[str, list[Path]]] = {}
        """By page, then by the heading of the row."""

    def wants(self, name: str) -> bool:
        return not self.only or name in self.only

    def take_key_pages(self, state: str) -> None:
        """Take the key pages of one state, in each variant."""
        for name, shots in KEY_PAGES.items():
            for variant in VARIANTS if self.wants(name) else []:
                documented = DOCUMENTED[name] == (state, variant)
                if self.documents and not documented:
                    continue
                page = self.camera.open(shots[state], variant, self.parts)
                self._keep(page, name, state, f"{state}-{variant}", f"{name}, {state}, {variant}")
                if documented:
                    self.camera.write_document_picture(page, IMAGES / "design" / f"{name}.webp")

    def take_emails(self) -> None:
        """Take every email, in each variant."""
        from accounts.sites.site import Site as OtherSite
        from tests.screenshots import emails

        shop = OtherSite.objects.get(slug="shop")
        for variant in VARIANTS:
            for name, html in emails.all_emails(variant.language, shop):
                page = self.camera.open(Shot("/healthz"), variant, {})
                page.set_content(html)
                self._keep(page, "emails", name, f"{name}-{variant}", f"email {name}, {variant}")

    def take_others(self, shots: list[Shot], heading: str) -> None:
        """Take each page once, in the next variant."""
        for shot, variant in zip(shots, cycle(VARIANTS), strict=False):
            page = self.camera.open(shot, variant, self.parts)
            slug = re.sub(r"[^a-z0-9]+", "-", shot.path.lower()).strip("-") or "home"
            self._keep(page, "others", heading, f"{slug}-{variant}", f"{shot.path}, {variant}")

    def lists_of_the_administration(self) -> list[Shot]:
        """Return the pages that the index of the administration links to."""
        page = self.camera.open(Shot("/admin/", OPERATOR), VARIANTS[0], {})
        paths = page.eval_on_selector_all("a[href^='/admin/']", "links => links.map(link => link.pathname)")
        known = {shot.path for shots in KEY_PAGES.values() for shot in shots.values()} | {"/admin/logout/"}
        return [Shot(path, OPERATOR) for path in sorted(set(paths) - known)]

    def write_pictures_of_the_readme(self) -> None:
        """Write docs/images/mail.png and docs/images/admin.png."""
        from accounts.sites.site import Site as OtherSite
        from tests.screenshots import emails

        html = dict(emails.all_emails("mn", OtherSite.objects.get(slug="shop")))["sign-in-new-device"]
        page = self.camera.open(Shot("/healthz"), README_MAIL, {})
        page.set_viewport_size({"width": 680, "height": 900})
        page.set_content(html)
        self.camera.write_indexed_png(page, IMAGES / "mail.png", full_page=True)
        page = self.camera.open(KEY_PAGES["job"][FULL], README_ADMIN, self.parts)
        page.set_viewport_size({"width": 1100, "height": 760})
        self.camera.write_indexed_png(page, IMAGES / "admin.png", full_page=False)

    def write_sheets(self) -> None:
        """Write a contact sheet for each page; for emails and other pages one for some rows each."""
        for name, rows in self.pictures.items():
            headings = list(rows)
            for number, start in enumerate(range(0, len(headings), 4)):
                some = {heading: rows[heading] for heading in headings[start : start + 4]}
                write_sheet(self.camera.browser, name, some, FOLDER / f"{name}-{number + 1}.jpg")

    def _keep(self, page: Page, name: str, heading: str, file: str, what: str) -> None:
        if self.documents:
            return
        path = FOLDER / name / f"{file}.jpg"
        self.camera.take(page, path, what)
        self.pictures.setdefault(name, {}).setdefault(heading, []).append(path)


def start(site: Site, *names: str) -> None:
    """Start programs of a site, and wait for minutes on a busy machine."""
    for name in names:
        with suppress(pytest.fail.Exception):  # it does not answer within the half minute that a test waits
            site.start(name)
    machine.eventually(lambda: site.get("/accounts/login/")[0] == 200, 180, 1)


def set_up_django(site: Site) -> None:
    """Read the settings of the site in this process, so that its data can be written by its models."""
    os.environ.update({name: value for name, value in site.environment.items() if name != "PYTHONWARNINGS"})
    os.environ["DJANGO_SETTINGS_MODULE"] = "notifier.settings"
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"  # playwright's loop waits while this process queries
    import django

    django.setup()


def run(session: Session) -> None:
    """Take the pictures while the site goes from empty to full to broken."""
    from tests.screenshots import data

    empty, full, error = STATES
    people = data.make_people()
    session.camera.sessions.update({name: data.session_of(name) for name in people})
    session.parts = {name: str(key) for name, key in people.items()}
    session.take_key_pages(empty)
    session.parts |= data.fill()
    session.take_key_pages(full)
    if not session.only:
        session.write_pictures_of_the_readme()
    if session.wants("emails") and not session.documents:
        session.take_emails()
    if session.wants("others") and not session.documents:
        session.take_others([*OTHERS, *session.lists_of_the_administration()], "every other page")
        take_mailbox(session)
    data.break_it()
    session.site.stop("worker")
    session.take_key_pages(error)
    session.write_sheets()


def take_mailbox(session: Session) -> None:
    """Take the local mailbox of a second site, which runs with DEBUG, with the emails of the first."""
    with Site(DEBUG="1") as site:
        start(site, "web")
        camera = Camera(session.camera.browser, site.url, {})
        second = Session(site, camera, session.only, documents=False)
        second.take_others(MAILBOX[:1], "the mailbox, empty")
        shutil.copytree(session.site.folder / "mailbox", site.folder / "mailbox", dirs_exist_ok=True)
        mails = sorted((site.folder / "mailbox").glob("*.eml"))
        second.parts = {"mail": mails[-1].stem}
        second.take_others(MAILBOX, "the mailbox")
        session.pictures.setdefault("others", {}).update(second.pictures["others"])
        session.camera.too_wide += camera.too_wide


def main() -> int:
    """Take the pictures; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="")
    parser.add_argument("--documents", action="store_true")
    options = parser.parse_args()
    only = {name for name in options.only.split(",") if name}
    with Site(SITE_URL=f"http://{HOST}", ALLOWED_HOSTS=f"{HOST},127.0.0.1") as site, sync_playwright() as player:
        start(site, "mail", "web", "worker")
        set_up_django(site)
        flags = [*FLAGS, f"--host-resolver-rules=MAP {HOST}:80 127.0.0.1:{site.port}"]
        browser = player.chromium.launch(executable_path=machine.chromium(), args=flags)
        session = Session(site, Camera(browser, f"http://{HOST}", {}), only, documents=options.documents)
        run(session)
        browser.close()
    for line in session.camera.too_wide:
        print(f"scrolls sideways: {line}")  # noqa: T201
    print(f"{sum(len(each) for rows in session.pictures.values() for each in rows.values())} pictures in {FOLDER}")  # noqa: T201
    return 1 if session.camera.too_wide else 0


if __name__ == "__main__":
    sys.exit(main())
