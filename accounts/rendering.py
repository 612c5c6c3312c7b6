"""A letter as subject, text and HTML.

What is the same in many mails (words, markup, inlined styles) is made once for each shape of a letter and kept as a
skeleton, cut where the values go; a mail is then one join. Marks are private-use characters, which no value can
hold (`untrusted.plain` drops them), and values are put in by one pass, so that none is read as a mark.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from html import escape
from typing import Any

import css_inline
from django.template.loader import render_to_string
from django.utils.translation import override

from accounts import letters
from accounts.letters import Letter

OPEN, CLOSE = "\ue000", "\ue001"
MARK = re.compile(f"{OPEN}([a-z_]+){CLOSE}")
GAP = re.compile(r"\n[ \t]*\n[ \t\n]*")
INDENT = re.compile(r">\s*\n\s*<")
inliner = css_inline.CSSInliner(minify_css=True, load_remote_stylesheets=False)


def render(letter: Letter) -> tuple[str, str, str]:
    """Subject, text part and HTML part."""
    shape = (letter.language, letter.new_device, letter.advice, frozenset(letter.values))
    escaped = {name: escape(value) for name, value in letter.values.items()}
    return (
        _fill(_skeleton("subject.txt", *shape), letter.values),
        _fill(_skeleton("body.txt", *shape), letter.values),
        _fill(_skeleton("body.html", *shape), escaped),
    )


def preview(payload: dict[str, Any], locale: str) -> tuple[str, str, str]:
    """Subject, text and HTML as the person would get them, in the language of `locale`."""
    return render(letters.write({**payload, "locale": locale}))


@lru_cache(maxsize=512)
def _skeleton(
    template: str, language: str, new_device: bool, advice: str, names: frozenset[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The fixed pieces of a template, and the names of the values that go between them."""
    context = {name: f"{OPEN}{name}{CLOSE}" for name in names}
    with override(language):
        words: str = render_to_string(
            f"emails/sign_in/{template}",
            {**context, "language": language, "new_device": new_device, "advice": advice},
        )
    if template.endswith(".html"):
        words = inliner.inline(INDENT.sub(">\n<", words))
    else:
        words = GAP.sub("\n\n", words).strip() + ("\n" if template == "body.txt" else "")
    pieces = MARK.split(words)
    return tuple(pieces[::2]), tuple(pieces[1::2])


def _fill(skeleton: tuple[tuple[str, ...], tuple[str, ...]], values: Mapping[str, str]) -> str:
    pieces, names = skeleton
    filled = [part for piece, name in zip(pieces, names, strict=False) for part in (piece, values[name])]
    return "".join((*filled, pieces[-1]))
