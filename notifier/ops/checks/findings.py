"""What a check of `doctor` finds: a verdict, what is wrong, and what to do."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.utils.translation import gettext


class Verdict(StrEnum):
    """How serious a finding is."""

    OK = "ok"
    UNKNOWN = "unknown"  # could not be checked: not a fault
    WARNING = "warning"
    FAULT = "fault"


class Text(str):
    """A text in English that a page shows in the reader's language.

    msgid: the text before its values are filled in, marked with gettext_noop. values: what is filled in, by name.
    """

    msgid: str
    values: dict[str, Any]

    def __new__(cls, msgid: str, **values: Any) -> "Text":
        """Fill in the values."""
        text = super().__new__(cls, msgid % values)
        text.msgid, text.values = msgid, values
        return text


def translate(text: str) -> str:
    """Return a `Text` in the active language, and any other text unchanged."""
    return gettext(text.msgid) % text.values if isinstance(text, Text) else text


@dataclass(frozen=True)
class Finding:
    """The result of one check. Its texts are `Text` when a page shows them."""

    check: str
    verdict: Verdict
    message: str
    action: str = ""  # the next step of the operator; empty when there is nothing to do

    def as_dict(self) -> dict[str, str]:
        """Return the finding under the keys of `doctor --json`."""
        return {"check": self.check, "verdict": self.verdict, "message": self.message, "do": self.action}


Findings = Iterator[Finding]
