"""The subject, text and HTML of an email, rendered from its content.

The parts that many emails share (words, markup, inlined styles) are rendered once for each shape and cached as a
skeleton, cut where the values go. An email is then one join. The marks are private-use characters, which no value can
contain (`sanitize.plain_text` drops them). One pass inserts the values, so no value is read as a mark.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from html import escape
from typing import Any, NamedTuple

import css_inline
from django.template.loader import render_to_string
from django.utils.translation import override

from accounts.mail.brand import Brand, site_name
from accounts.mail.content import Content, write_content
from jobs.design import PALETTES

OPEN, CLOSE = "\ue000", "\ue001"
MARK = re.compile(f"{OPEN}([a-z_]+){CLOSE}")
GAP = re.compile(r"\n[ \t]*\n[ \t\n]*")
INDENT = re.compile(r">\s*\n\s*<")
inliner = css_inline.CSSInliner(minify_css=True, load_remote_stylesheets=False)


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
        "site": site_name(language) if brand.own else brand.name,
        "support": brand.support,
        "own": brand.own,
        "colour": brand.colour,
        "language": language,
    }
    subject, text, html = (
        _render(f"account/email/{kind}_{part}", language, {**values, **site})
        for part in ("subject.txt", "message.txt", "message.html")
    )
    return subject, text, html


@lru_cache(maxsize=512)
def _skeleton(template: str, shape: Shape) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the fixed pieces of a template, and the names of the values between them."""
    marks = {name: f"{OPEN}{name}{CLOSE}" for name in shape.names}
    pieces = MARK.split(_render(f"emails/sign_in/{template}", shape.language, {**shape._asdict(), **marks}))
    return tuple(pieces[::2]), tuple(pieces[1::2])


def _render(template: str, language: str, context: dict[str, Any]) -> str:
    """Return one part: a subject on one line, a text, or HTML with inlined styles, in the colours of the brand."""
    with override(language):
        rendered: str = render_to_string(template, {**context, **PALETTES[context["own"]]})
    if template.endswith(".html"):
        return inliner.inline(INDENT.sub(">\n<", rendered))
    if template.endswith("subject.txt"):
        return " ".join(rendered.split())
    return GAP.sub("\n\n", rendered).strip() + "\n"


def _fill(skeleton: tuple[tuple[str, ...], tuple[str, ...]], values: Mapping[str, str]) -> str:
    pieces, names = skeleton
    filled = [part for piece, name in zip(pieces, names, strict=False) for part in (piece, values[name])]
    return "".join((*filled, pieces[-1]))
