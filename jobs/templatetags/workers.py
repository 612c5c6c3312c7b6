"""The warnings of every admin page: no worker is alive, and what is paused, with a countdown."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import template
from django.utils import timezone
from django.utils.translation import gettext as _

from jobs.core import job_types
from jobs.core.pauses import JobTypeState, LaneState

if TYPE_CHECKING:
    from jobs.admin.panels.present import Present

register = template.Library()


@register.inclusion_tag("admin/jobs/no_worker.html", takes_context=True)
def warn_without_worker(context: template.Context) -> dict[str, Any]:
    """Show a warning unless a cluster sends heartbeats. Its link needs the permission to view clusters."""
    return {"present": _load(context), "perms": context.get("perms")}


@dataclass(frozen=True)
class ShownPause:
    """A pause as a line of a page."""

    name: str
    state: JobTypeState | LaneState

    @property
    def left(self) -> str:
        """How long it still lasts."""
        from jobs.admin.parts import durations  # a worker loads every library of tags, and no page

        now = timezone.now()
        return durations.format_duration(max(now, self.state.paused_until or now) - now)


@register.inclusion_tag("admin/jobs/pauses.html", takes_context=True)
def show_pauses(context: template.Context) -> dict[str, Any]:
    """Show what operators paused, and when it ends. The pause of all email is one line."""
    active = _load(context).pauses
    ends = {str(state): (state.paused_until, state.paused_by) for state in active}
    mail = job_types.mail_types()
    together = len({ends.get(name) for name in mail}) == 1 and mail[0] in ends
    shown = [ShownPause(_name(state), state) for state in active if not (together and str(state) in mail)]
    if together:
        shown.insert(0, ShownPause(_("All email"), next(state for state in active if str(state) == mail[0])))
    return {"pauses": shown, "perms": context.get("perms")}


def _name(state: JobTypeState | LaneState) -> str:
    return _("Lane %s") % state.get_lane_display() if isinstance(state, LaneState) else state.job_type


def _load(context: template.Context) -> "Present":
    from jobs.admin.panels import present  # a worker loads every library of tags, and no page

    return present.load(context["request"])
