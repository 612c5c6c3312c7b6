"""The mail providers: which is used, which is out of use and why, and how many emails each accepted."""

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from accounts.mail.providers.configured import configured
from accounts.mail.smtp import ACCEPTED
from jobs.admin.panels.registry import View
from jobs.admin.parts import durations
from jobs.core import counters, masking, pauses


@dataclass(frozen=True)
class Line:
    """A provider of the settings, or one that emails went through before."""

    name: str
    state: str
    tone: str
    """The look of a job in that state: dlq, failed, completed or "" for none."""
    error: str
    accepted: int
    refused: int

    @property
    def share(self) -> str:
        """The share of the attempts that it accepted; "–" without any."""
        attempts = self.accepted + self.refused
        return f"{100 * self.accepted / attempts:.1f} %" if attempts else "–"


def load(view: View) -> dict[str, Any]:
    """Return a line for each provider, those of the settings first. Two queries."""
    outcomes: dict[str, list[int]] = {}
    for count, (number, _seconds) in counters.read("mails").items():
        outcome, _sep, name = "|".join(count.labels).partition("|")
        pair = outcomes.setdefault(name, [0, 0])
        pair[outcome != ACCEPTED] += number
    broken = {row.provider: row for row in pauses.open_providers()}
    named = [provider.name for provider in configured()]
    return {"lines": [_line(name, named, outcomes, broken, view) for name in dict.fromkeys([*named, *outcomes])]}


def _line(
    name: str, named: list[str], outcomes: dict[str, list[int]], broken: dict[str, pauses.ProviderState], view: View
) -> Line:
    accepted, refused = outcomes.get(name, (0, 0))
    row = broken.get(name) if name in named else None
    if row is not None:
        ago = durations.format_ago(row.breaker_opened_at, view.now)
        error = masking.abbreviate(row.breaker_error, masking.LONGEST_VALUE)
        return Line(name, _("out of use, since %s") % ago, "dlq", error, accepted, refused)
    if name not in named:
        return Line(name, _("no longer in the settings"), "", "", accepted, refused)
    first = next((each for each in named if each not in broken), named[0])
    state = _("in use") if name == first else _("ready")
    return Line(name, state, "completed" if name == first else "", "", accepted, refused)
