"""What the list shows: a form read from the URL, so that a link reproduces the view and a wrong value is told."""

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.db.models import Q
from django.http import QueryDict
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from jobs import registry, rollups
from jobs.admin import error_classes
from jobs.models import JobLog, JobQuerySet, Reason, Status

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
SPANS = {"1h": timedelta(hours=1), "24h": timedelta(days=1), "7d": timedelta(days=7), "30d": timedelta(days=30)}
ANY = [("", _("any"))]
BIGGEST_ID = 2**63 - 1
EQUAL = {"type": "job_type", "reason": "dlq_reason", "error_class": "error_class", "fingerprint": "fingerprint"}
EQUAL |= {"source": "source", "worker": "worker"}
# What the bulk replay understands of these, under its own names; a view filtered by anything else has no bulk replay.
BULK = {"type": "jobType", "reason": "reason", "error_class": "errorClass", "fingerprint": "fingerprint"}
BULK |= {"source": "source", "worker": "worker", "attempts": "attempts", "within": "createdAfter"}
BULK |= {"after": "createdAfter", "before": "createdBefore"}


class Texts(forms.Field):
    """A parameter that may be given several times."""

    widget = forms.MultipleHiddenInput

    def clean(self, value: Any) -> list[str]:
        return [text[:128] for text in value or [] if text and "\x00" not in text][:20]


def when() -> forms.DateTimeField:
    return forms.DateTimeField(
        required=False, widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
    )


class JobFilter(forms.Form):
    """The list's filters. Not valid: no jobs, and the errors say why."""

    status = forms.ChoiceField(required=False, choices=[*TABS.items()], widget=forms.HiddenInput)
    q = forms.CharField(required=False, max_length=254)
    user = Texts(required=False)
    type = forms.ChoiceField(required=False, label=_("Type"))
    reason = forms.ChoiceField(required=False, label=_("Reason"), choices=[*ANY, *Reason.choices])
    error_class = forms.ChoiceField(  # type: ignore[assignment]
        required=False, label=_("Class of error"), choices=[*ANY, *error_classes.NAMES.items()]
    )
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
    cursor = forms.IntegerField(required=False, min_value=0, max_value=BIGGEST_ID, widget=forms.HiddenInput)

    def __init__(self, data: QueryDict) -> None:
        super().__init__(data, auto_id="filter-%s", use_required_attribute=False)
        types = [(kind.name, kind.name) for kind in registry.all_types()]
        self.fields["type"].choices = [*ANY, *types]  # type: ignore[attr-defined]
        self.fields["after"].label, self.fields["before"].label = _("Enqueued after"), _("Enqueued before")

    @property
    def tab(self) -> str:
        """What is wrong, unless something is looked for: then everything."""
        chosen = self.cleaned_data.get("status") or ""
        looked_for = self.cleaned_data.get("q") or self.cleaned_data.get("user")
        return chosen or (ALL if looked_for else WRONG)

    @property
    def narrowed(self) -> list[str]:
        """The names of the filters that are set, without tab, order and place."""
        aside = ("status", "order", "cursor")
        return [name for name, value in self.cleaned_data.items() if value not in (None, "", []) and name not in aside]

    def jobs(self) -> JobQuerySet:
        """The jobs that match, in no order; none when the form is not valid."""
        if not self.is_valid():
            return JobLog.objects.none()
        chosen = self.cleaned_data
        where = self._state() & self._time()
        for name, column in EQUAL.items():
            if chosen[name]:
                where &= Q(**{column: chosen[name]})
        if chosen["q"]:
            where &= Q(job_id=chosen["q"].strip()) | Q(user_id=chosen["q"].strip())
        if chosen["user"]:
            where &= Q(user_id__in=chosen["user"])
        if chosen["attempts"]:
            where &= Q(attempt_count__gte=chosen["attempts"])
        return JobLog.objects.filter(where)

    def _state(self) -> Q:
        match self.tab:
            case "all":
                return Q()
            case "wrong":
                return Q(status__in=WRONG_STATES)
        return Q(status=self.tab)

    def _time(self) -> Q:
        """By created_at, and by the keys that the rollup knows for these moments, since created_at has no index."""
        where = Q()
        if since := self._since():
            where &= Q(created_at__gte=since)
            if (key := rollups.key_before(since)) is not None:
                where &= Q(pk__gt=key)
        if before := self.cleaned_data["before"]:
            where &= Q(created_at__lt=before)
            if (key := rollups.key_after(before)) is not None:
                where &= Q(pk__lte=key)
        return where

    def _since(self) -> datetime | None:
        """The later of the two moments since which jobs are wanted; None: since ever."""
        span = SPANS.get(self.cleaned_data["within"])
        begins = [moment for moment in (self.cleaned_data["after"], span and timezone.now() - span) if moment]
        return max(begins, default=None)

    def bulk(self) -> dict[str, str] | None:
        """This view as a bulk replay's filter; None when it is not one of dead letters, or says more than that."""
        if self.tab != Status.DLQ or set(self.narrowed) - set(BULK):
            return None
        chosen = {BULK[name]: str(self.cleaned_data[name]) for name in self.narrowed}
        moments = {"createdAfter": self._since(), "createdBefore": self.cleaned_data["before"]}
        return chosen | {name: moment.isoformat() for name, moment in moments.items() if moment}

    def link(self, **changes: Any) -> str:
        """The query string of this view with some parameters changed (None: left out); always on its first page."""
        now = {name: self.data.getlist(name) for name in self.fields if name != "cursor"}  # type: ignore[attr-defined]
        now |= {name: [] if value is None else [str(value)] for name, value in changes.items()}
        return urlencode([(name, value) for name, values in now.items() for value in values if value])
