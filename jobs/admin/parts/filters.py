"""The list's filters: a form read from the URL, so that a link reproduces the view and a wrong value is reported."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.http import QueryDict
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from jobs.admin.panels.names import UserKey, find, shown
from jobs.core import job_types, masking
from jobs.core.errors import ErrorClass
from jobs.core.job import THIS_SITE, JobLog, JobQuerySet, Reason, Status
from jobs.core.pauses import Lane
from jobs.core.sql.keys import LARGEST
from jobs.queue.criteria import JobCriteria
from jobs.templatetags.job_dates import minute

WRONG, ALL = "wrong", "all"
WRONG_STATES = (Status.FAILED, Status.DLQ)
TABS = {
    WRONG: _("Needs attention"),
    ALL: _("All"),
    Status.ENQUEUED: _("Waiting"),
    Status.PROCESSING: _("Running"),
    Status.FAILED: _("Retrying"),
    Status.DLQ: _("Dead letters"),
    Status.COMPLETED: _("Completed"),
    Status.DISCARDED: _("Discarded"),
}
WITHIN = {"1h": timedelta(hours=1), "24h": timedelta(days=1), "7d": timedelta(days=7), "30d": timedelta(days=30)}
ANY = [("", _("any"))]
# the list's filters that a bulk replay takes
BULK = {
    "type",
    "reason",
    "error_class",
    "fingerprint",
    "lane",
    "source",
    "worker",
    "attempts",
    "within",
    "after",
    "before",
}


class Texts(forms.Field):
    """A parameter that may appear several times."""

    widget = forms.MultipleHiddenInput

    def clean(self, value: Any) -> list[str]:
        return [text[:128] for text in value or [] if text and "\x00" not in text][:20]


def when() -> forms.DateTimeField:
    """Return an optional field for a date and time, as a browser shows one."""
    return forms.DateTimeField(
        required=False, widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
    )


@dataclass(frozen=True)
class Chip:
    """A filter that is active."""

    text: str
    without: str
    """The query string of the view without it."""


class JobFilter(forms.Form):
    """The list's filters. When it is not valid, the list is empty and the errors say why."""

    status = forms.ChoiceField(required=False, choices=[*TABS.items()], widget=forms.HiddenInput)
    q = forms.CharField(required=False, label=_("Job id, user or address"), max_length=254)
    user = Texts(required=False)
    type = forms.ChoiceField(required=False, label=_("Type"))
    reason = forms.ChoiceField(required=False, label=_("Reason"), choices=[*ANY, *Reason.choices])
    error_class = forms.ChoiceField(  # type: ignore[assignment]
        required=False, label=_("Class of error"), choices=[*ANY, *ErrorClass.choices]
    )
    lane = forms.ChoiceField(required=False, label=_("Lane"), choices=[*ANY, *Lane.choices])
    fingerprint = forms.CharField(required=False, label=_("Fingerprint"), max_length=100)
    source = forms.CharField(required=False, label=_("Source"), max_length=64)
    worker = forms.CharField(required=False, label=_("Worker"), max_length=128)
    attempts = forms.IntegerField(required=False, label=_("Attempts, at least"), min_value=1, max_value=100_000)
    within = forms.ChoiceField(
        required=False,
        label=_("Enqueued within"),
        choices=[*ANY, ("1h", _("an hour")), ("24h", _("24 hours")), ("7d", _("7 days")), ("30d", _("30 days"))],
    )
    after = when()
    before = when()
    order = forms.ChoiceField(
        required=False, label=_("Order"), choices=[("", _("newest first")), ("oldest", _("oldest first"))]
    )
    cursor = forms.IntegerField(required=False, min_value=0, max_value=LARGEST, widget=forms.HiddenInput)

    def __init__(self, data: QueryDict) -> None:
        super().__init__(data, auto_id="filter-%s", use_required_attribute=False)
        types = [(kind.name, kind.name) for kind in job_types.all_types()]
        self.fields["type"].choices = [*ANY, *types]  # type: ignore[attr-defined]
        self.fields["after"].label, self.fields["before"].label = _("Enqueued after"), _("Enqueued before")

    @property
    def tab(self) -> str:
        """The chosen tab. Without one: everything for a search, else what needs attention."""
        chosen = self.cleaned_data.get("status") or ""
        looked_for = self.cleaned_data.get("q") or self.cleaned_data.get("user")
        return chosen or (ALL if looked_for else WRONG)

    @property
    def narrowed(self) -> list[str]:
        """The names of the filters that are set, without tab, order and cursor."""
        aside = ("status", "order", "cursor")
        return [name for name, value in self.cleaned_data.items() if value not in (None, "", []) and name not in aside]

    @property
    def chips(self) -> list["Chip"]:
        """What narrows or orders this view, each with the view without it. The form must be valid."""
        chosen = self.cleaned_data
        names = [name for name in (*self.narrowed, "order") if chosen[name] and name != "user"]
        ours = [Chip(": ".join(self.describe(name)), self.link(**{name: None})) for name in names]
        return [*self._user_chips(), *ours]

    @property
    def cleared(self) -> str:
        """The query string of this tab without a filter."""
        return urlencode({"status": self.data["status"]}) if self.data.get("status") else ""

    def _user_chips(self) -> list["Chip"]:
        users = self.cleaned_data["user"]
        keys = {user: UserKey(THIS_SITE, user) for user in users}
        known = find(keys.values())
        return [
            Chip(
                _("user: %s") % shown(keys[user], known.get(keys[user])).name,
                self.link(user=[other for other in users if other != user]),
            )
            for user in users
        ]

    def describe(self, name: str) -> tuple[str, str]:
        """Return the label of a filter and its value in words. The form must be valid."""
        field, value = self.fields[name], self.cleaned_data[name]
        if isinstance(field, forms.ChoiceField):
            shown_value = str(dict(field.choices).get(value, value))  # type: ignore[arg-type]
        elif isinstance(value, datetime):
            shown_value = minute(value)
        else:
            shown_value = masking.abbreviate(str(value))
        return str(field.label or name), shown_value

    def all_jobs(self) -> JobQuerySet | None:
        """Return the jobs of all tabs that match; None without a filter, and when the form is not valid."""
        return replace(self.criteria(), statuses=()).jobs() if self.is_valid() and self.narrowed else None

    def criteria(self) -> JobCriteria:
        """Return what the form means. It must be valid."""
        chosen = self.cleaned_data
        return JobCriteria(
            statuses={ALL: (), WRONG: WRONG_STATES}.get(self.tab, (self.tab,)),
            job_type=chosen["type"],
            min_attempts=chosen["attempts"] or 0,
            user_ids=tuple(chosen["user"]),
            search=chosen["q"].strip(),
            created_since=self._since(),
            created_before=chosen["before"],
            **{name: chosen[name] for name in ("reason", "error_class", "fingerprint", "lane", "source", "worker")},
        )

    def jobs(self) -> JobQuerySet:
        """Return the jobs that match, in no order; none when the form is not valid."""
        return self.criteria().jobs() if self.is_valid() else JobLog.objects.none()

    def _since(self) -> datetime | None:
        """Return the time since which jobs are wanted; None without a limit."""
        within = WITHIN.get(self.cleaned_data["within"])
        begins = [begin for begin in (self.cleaned_data["after"], within and timezone.now() - within) if begin]
        return max(begins, default=None)

    def bulk(self) -> JobCriteria | None:
        """Return the criteria of a bulk replay of this view.

        None when the view is not one of dead letters, or has a filter that a bulk replay does not take.
        """
        if self.tab != Status.DLQ or set(self.narrowed) - BULK:
            return None
        return replace(self.criteria(), statuses=())

    def link(self, **changes: Any) -> str:
        """Return this view's query string with parameters changed, or left out (None); a list repeats one."""
        now = {name: self.data.getlist(name) for name in self.fields if name != "cursor"}  # type: ignore[attr-defined]
        changed = {name: value if isinstance(value, list) else [value] for name, value in changes.items()}
        now |= {name: [str(value) for value in values if value is not None] for name, values in changed.items()}
        return urlencode([(name, value) for name, values in now.items() for value in values if value])
