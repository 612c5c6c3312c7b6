"""The subject, text and HTML of an email, rendered from its content.

The parts that many emails share (words, markup, inlined styles) are rendered once for each shape and cached as a
skeleton, cut where the values go. An email is then one join. The marks are private-use characters, which no value can
contain (`sanitize.plain_text` drops them). One pass inserts the values, so no value is read as a mark.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum
from functools import lru_cache
from html import escape
from typing import Any, NamedTuple

import css_inline
import structlog
from django.conf import settings
from django.template import TemplateDoesNotExist, TemplateSyntaxError
from django.template.loader import render_to_string
from django.utils.translation import override

from accounts.mail.brand import Brand
from accounts.mail.content import Content, write_content
from jobs.design import PALETTES

OPEN, CLOSE = "\ue000", "\ue001"
MARK = re.compile(f"{OPEN}([a-z_]+){CLOSE}")
STRAY = re.compile(f"[{OPEN}{CLOSE}]")
ORIGINAL, OVERRIDDEN = "django", "mail"  # names of template engines: OVERRIDDEN has MAIL_TEMPLATES_DIR
GAP = re.compile(r"\n[ \t]*\n[ \t\n]*")
INDENT = re.compile(r">\s*\n\s*<")
log = structlog.get_logger("accounts")
inliner = css_inline.CSSInliner(minify_css=True, load_remote_stylesheets=False)


class Templates(Enum):
    """Which templates emails are made with."""

    USABLE = "usable"
    """Those of MAIL_TEMPLATES_DIR, and the original where one fails."""
    STRICT = "strict"
    """Those of MAIL_TEMPLATES_DIR; a fault is raised."""
    ORIGINAL = "original"
    """Those of this project."""


_mode: ContextVar[Templates] = ContextVar("templates", default=Templates.USABLE)


class Damaged(ValueError):
    """What a template made cannot be a part of an email."""


class Shape(NamedTuple):
    """What decides the words and the markup of an email, apart from its values."""

    language: str
    new_device: bool
    alert: bool
    advice: str
    own: bool
    """Whether it is sent for this site."""
    colour: str
    names: frozenset[str]
    """Of its values."""


def render_content(content: Content) -> tuple[str, str, str]:
    """Return subject, text and HTML."""
    shape = Shape(
        content.language,
        content.new_device,
        content.alert,
        content.advice,
        content.brand.own,
        content.brand.colour,
        frozenset(content.values),
    )
    escaped = {name: escape(value) for name, value in content.values.items()}
    return (
        _fill(_skeleton("subject.txt", shape), content.values),
        _fill(_skeleton("body.txt", shape), content.values),
        _fill(_skeleton("body.html", shape), escaped),
    )


def render_payload(payload: dict[str, Any], locale: str) -> tuple[str, str, str]:
    """Return subject, text and HTML for a job's payload, in the language of `locale`."""
    return render_content(write_content({**payload, "locale": locale}))


def render_account_content(
    kind: str, language: str, values: Mapping[str, Any], brand: Brand | None = None
) -> tuple[str, str, str]:
    """Return subject, text and HTML of an email about an account (`account/email/<kind>_*`).

    brand: of the site that it is sent for; None for this one.
    Such an email holds links with tokens and is rare: it is rendered as a whole, without a skeleton.
    """
    brand = brand or Brand.of_this_site()
    site = {
        "site": brand.name_in(language),
        "support": brand.support,
        "own": brand.own,
        "colour": brand.colour,
        "language": language,
    }
    subject, text, html = (
        render_part(f"account/email/{kind}_{part}", language, {**values, **site})
        for part in ("subject.txt", "message.txt", "message.html")
    )
    return subject, text, html


@lru_cache(maxsize=512)
def _skeleton(template: str, shape: Shape) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the fixed pieces of a template, and the names of the values between them."""
    marks = {name: f"{OPEN}{name}{CLOSE}" for name in shape.names}
    pieces = MARK.split(render_part(f"emails/sign_in/{template}", shape.language, {**shape._asdict(), **marks}))
    return tuple(pieces[::2]), tuple(pieces[1::2])


def render_part(template: str, language: str, context: dict[str, Any]) -> str:
    """Return one part of an email, made with the templates of MAIL_TEMPLATES_DIR.

    When they fail, the part is made with those of this project: no email is lost because of a template.
    """
    mode = _mode.get() if settings.MAIL_TEMPLATES_DIR else Templates.ORIGINAL
    if mode == Templates.ORIGINAL:
        return _render(template, language, context)
    try:
        return _render(template, language, context, OVERRIDDEN)
    except Exception as broken:
        fault = describe_fault(broken)
        if mode == Templates.STRICT:
            raise Damaged(f"{template}: {fault}") from broken
        log.error("email template failed, the original was used", template=template, error=fault)
        return _render(template, language, context)


def describe_fault(broken: Exception) -> str:
    """Return why a template failed, in one line without values of an email."""
    words = ""
    if isinstance(broken, TemplateSyntaxError | TemplateDoesNotExist | Damaged):
        words = getattr(broken, "raw_error_message", str(broken))  # Django 6.1: the text without the path of the file
    return " ".join(words.split()) or type(broken).__name__


@contextmanager
def templates(mode: Templates) -> Iterator[None]:
    """Choose which templates emails are made with, for this thread and until the end of the block."""
    _skeleton.cache_clear()
    token = _mode.set(mode)
    try:
        yield
    finally:
        _mode.reset(token)
        _skeleton.cache_clear()


def _render(template: str, language: str, context: dict[str, Any], engine: str = ORIGINAL) -> str:
    """Return one part: a subject on one line, a text, or HTML with inlined styles. Raise Damaged."""
    with override(language):
        rendered: str = render_to_string(template, {**context, **PALETTES[context["own"]]}, using=engine)
    if engine == OVERRIDDEN and (STRAY.search(MARK.sub("", rendered)) or not rendered.strip()):
        raise Damaged("it is empty, or a filter changed a value that is inserted later (docs/languages.md)")
    if template.endswith(".html"):
        return inliner.inline(INDENT.sub(">\n<", rendered))
    if template.endswith("subject.txt"):
        return " ".join(rendered.split())
    return GAP.sub("\n\n", rendered).strip() + "\n"


def _fill(skeleton: tuple[tuple[str, ...], tuple[str, ...]], values: Mapping[str, str]) -> str:
    pieces, names = skeleton
    filled = [part for piece, name in zip(pieces, names, strict=False) for part in (piece, values[name])]
    return "".join((*filled, pieces[-1]))
