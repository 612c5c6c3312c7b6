"""Parts of the operators' pages that other apps add: the queue does not know emails, sites or servers."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.http import HttpRequest

from jobs.admin.panels.latest import Latest


class Place(StrEnum):
    """Where a panel is shown."""

    FIRST = "first"  # on the overview, before its charts
    NUMBERS = "numbers"  # among the numbers of the overview
    SENDING = "sending"  # on the page of pauses and breakers


@dataclass(frozen=True)
class View:
    """What a panel is made from. The overview reads the latest jobs once, for all its panels."""

    request: HttpRequest
    now: datetime
    latest: Latest | None = None
    """None on a page that shows no numbers of jobs."""


@dataclass(frozen=True)
class Panel:
    """A part of a page."""

    places: tuple[Place, ...]
    template: str
    load: Callable[[View], dict[str, Any] | None]
    """Returns the template's context, with a fixed number of queries; None to show nothing."""
    permission: str = ""
    """That an operator needs to see it; "" for none but the page's."""


@dataclass(frozen=True)
class ShownPanel:
    """A panel with its data, as `{% include panel.template with data=panel.data %}` shows it."""

    template: str
    data: dict[str, Any]


_panels: list[Panel] = []


def register(*panels: Panel) -> None:
    """Add panels, in the order in which a page shows them."""
    _panels.extend(panel for panel in panels if panel not in _panels)


def load(place: Place, view: View) -> list[ShownPanel]:
    """Return the panels of a place that this operator may see and that have something to show."""
    may = view.request.user.has_perm
    chosen = (panel for panel in _panels if place in panel.places and (not panel.permission or may(panel.permission)))
    loaded = ((panel.template, panel.load(view)) for panel in chosen)
    return [ShownPanel(template, data) for template, data in loaded if data is not None]
