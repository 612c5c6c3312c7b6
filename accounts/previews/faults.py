"""Faults of the templates in MAIL_TEMPLATES_DIR and of the catalogues in LOCALE_DIR, found by making every email."""

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

from django.conf import settings
from django.template import engines

from accounts.mail import rendering
from accounts.mail.brand import Brand
from accounts.mail.mime import Mail
from accounts.mail.rendering import OVERRIDDEN, Templates, describe_fault
from accounts.previews.registry import every_mail
from accounts.previews.variant import Variant

LINK = re.compile(r"https?://[^\s\"'<>]+")
SUFFIXES = (".html", ".txt")
Made = dict[tuple[str, str, bool], Mail | str]  # an email or its fault, by variant, language and whether it is our own


def find_faults() -> dict[str, list[str]]:
    """Return what is wrong with the emails of this installation, and the names of the emails concerned."""
    with rendering.templates(Templates.ORIGINAL):
        originals = _make_all()
    faults: dict[str, list[str]] = {}
    for key, made in originals.items():
        if isinstance(made, str):
            faults.setdefault(f"a translation: {made}", []).append(_name(key))
    if settings.MAIL_TEMPLATES_DIR:
        for fault, name in _faults_of_templates(originals):
            faults.setdefault(fault, []).append(name)
    return faults


def _faults_of_templates(originals: Made) -> Iterator[tuple[str, str]]:
    """Yield (fault, email) for each template that cannot be read, fails, or leaves out a link of the original."""
    if unreadable := list(_unreadable()):
        yield from unreadable
        return
    with rendering.templates(Templates.STRICT):
        overridden = _make_all()
    for key, made in overridden.items():
        original = originals[key]
        if isinstance(original, str):
            continue
        if isinstance(made, str):
            yield made, _name(key)
        else:
            yield from ((f"the link to {link} is missing", _name(key)) for link in _lost_links(original, made))


def _unreadable() -> Iterator[tuple[str, str]]:
    """Yield (fault, "") for each file of MAIL_TEMPLATES_DIR that is not a template."""
    folder = Path(settings.MAIL_TEMPLATES_DIR)
    for file in sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES and path.is_file()):
        name = file.relative_to(folder).as_posix()
        try:
            engines[OVERRIDDEN].get_template(name)
        except Exception as broken:
            yield f"{name}: {describe_fault(broken)}", ""


def _make_all() -> Made:
    mails = every_mail()
    return {(variant.name, language, brand.own): _make(variant, language, brand) for variant, language, brand in mails}


def _make(variant: Variant, language: str, brand: Brand) -> Mail | str:
    """Return the email; its fault as words when it cannot be made."""
    try:
        return variant.build(language, brand)
    except rendering.Damaged as broken:
        return str(broken)
    except Exception as broken:  # its words may be shown: the values are invented
        return " ".join(f"{type(broken).__name__}: {broken}".split())


def _lost_links(original: Mail, made: Mail) -> list[str]:
    """Return the pages that both parts of the original link to, and one of the parts does not."""
    kept = _pages(made.text) & _pages(made.html)
    return sorted((_pages(original.text) & _pages(original.html)) - kept)


def _pages(part: str) -> set[str]:
    """Return the links of a part without what differs at each rendering, their tokens."""
    return {re.sub(r"/[^/]*[:%][^/]*/?$", "/", link) for link in LINK.findall(unescape(part))}


def _name(key: tuple[str, str, bool]) -> str:
    name, language, own = key
    return f"{name} ({language}{'' if own else ', another site'})"
