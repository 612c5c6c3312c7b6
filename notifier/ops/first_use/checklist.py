"""The first steps of a new installation: what is done, as far as the site itself can see it, and what is left."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.mail import dates
from accounts.mail.providers.configured import configured
from accounts.mail.smtp import ACCEPTED
from jobs.admin.panels.present import Present
from jobs.alerts import channels
from jobs.core import counters
from jobs.core.audit import AuditEntry
from notifier.ops.checks import environment, mail
from notifier.ops.checks.findings import Finding, Findings, Text, Verdict, translate

READ_ENTRIES = 100  # of the audit, the latest tests


class State(StrEnum):
    """How far a step is."""

    DONE = "done"
    OPEN = "open"
    WRONG = "wrong"
    LATER = "later"
    """Not needed for development on one machine."""


LABELS: dict[State, str | Promise] = {
    State.DONE: gettext_lazy("done"),
    State.OPEN: gettext_lazy("open"),
    State.WRONG: gettext_lazy("wrong"),
    State.LATER: gettext_lazy("on a server"),
}
TONES = {State.DONE: "completed", State.WRONG: "dlq", State.OPEN: "failed", State.LATER: ""}


@dataclass(frozen=True)
class Step:
    """A step, and what the operator can press or open for it."""

    title: str
    state: State
    fact: str
    """What the site knows about it."""
    action: str = ""
    """What to do; "" when it is done."""
    test: str = ""
    """The name of a test that a button starts; "" for none."""
    button: str = ""
    link: str = ""
    label: str = ""
    """The link's text."""

    @property
    def is_open(self) -> bool:
        """Whether something is left to do."""
        return self.state in (State.OPEN, State.WRONG)

    @property
    def shown_state(self) -> str:
        """The state in words."""
        return str(LABELS[self.state])

    @property
    def tone(self) -> str:
        """The look of a job in that state."""
        return TONES[self.state]


@dataclass(frozen=True)
class Tested:
    """The last test of a step, as the audit has it."""

    entry: AuditEntry

    @property
    def verdict(self) -> str:
        """Its verdict: one of `Verdict`; "" for a test of a channel, whose success it does not record."""
        return str(self.entry.detail.get("verdict", ""))

    @property
    def when(self) -> str:
        """Who tested it, and when."""
        return _("Tested by %(who)s at %(at)s.") % {"who": self.entry.who, "at": dates.format_minute(self.entry.at)}

    @property
    def message(self) -> str:
        """The finding in the active language; in English when an earlier version recorded it."""
        detail = self.entry.detail
        if "msgid" not in detail:
            return str(detail.get("found", ""))
        return f"{_(detail['check'])}: {translate(Text(detail['msgid'], **detail['values']))}"


Tests = dict[str, Tested]

MAIL, DNS, BACKUP = "mail server", "sender's DNS", "backup"
SLOW_CHECKS: dict[str, Callable[[], Findings]] = {MAIL: mail.check_mail_server, DNS: mail.check_dns_records}
"""Those that ask other servers: they run only when their button is pressed."""


def load_steps(present: Present) -> list[Step]:
    """Return the steps, in the order in which they are done. Three queries."""
    tests = _last_tests()
    return [_worker(present), _mail_server(tests), _dns(tests), _proxy(), _backup(tests), _alerts(tests)]


def run_check(name: str) -> list[Finding]:
    """Run one of SLOW_CHECKS. Raise KeyError for another name."""
    return list(SLOW_CHECKS[name]())


def decide(name: str, findings: list[Finding]) -> Finding:
    """Return the finding that decides a test. DKIM with an unknown selector does not: it cannot be looked up."""
    known = [found for found in findings if not (found.check == "DKIM" and found.verdict == Verdict.UNKNOWN)]
    return gravest(known if name == DNS and known else findings)


def gravest(findings: list[Finding]) -> Finding:
    """Return the finding that decides: a fault, else a warning, else what could not be checked."""
    order = (Verdict.FAULT, Verdict.WARNING, Verdict.UNKNOWN, Verdict.OK)
    return min(findings, key=lambda finding: order.index(finding.verdict))


def target_of(name: str) -> str:
    """Return the name under which the audit has a test of this step."""
    return f"first use: {name}"


def _last_tests() -> Tests:
    """Return the last test of each step, and of each channel of alerts by its name."""
    named = {target_of(name): name for name in (MAIL, DNS, BACKUP)}
    named |= {channel.name: channel.name for channel in channels.configured()}
    entries = list(AuditEntry.objects.filter(target__in=named).order_by("-id")[:READ_ENTRIES])
    return {named[entry.target]: Tested(entry) for entry in reversed(entries)}


def _worker(present: Present) -> Step:
    link = {"link": reverse("admin:jobs_cluster_changelist"), "label": _("Clusters")}
    if present.alive:
        return Step(_("Worker"), State.DONE, _("A cluster sends heartbeats."), **link)
    return Step(_("Worker"), State.OPEN, _("No cluster is alive."), _("Start manage.py qcluster."), **link)


def _mail_server(tests: Tests) -> Step:
    title, button = _("Mail server"), {"test": MAIL, "button": _("Test the mail server")}
    if settings.MAIL_IS_CAUGHT:
        fact = _("Emails stay on this machine, in the local mailbox.")
        return Step(title, State.DONE, fact, link="/dev/mailbox/", label=_("Mailbox"))
    name, accepted = configured()[0].name, _accepted()
    test = tests.get(MAIL)
    if test and test.verdict == Verdict.FAULT:
        return Step(
            title, State.WRONG, f"{test.when} {test.message}", _("Correct the settings and test again."), **button
        )
    if accepted:
        return Step(title, State.DONE, _("%(n)s emails were accepted.") % {"n": f"{accepted:,}"}, **button)
    if test and test.verdict == Verdict.OK:
        return Step(title, State.DONE, f"{test.when} {test.message}", **button)
    fact = _("No email has left yet; %s was not tested.") % name
    return Step(title, State.OPEN, fact, _("Test the connection, the login and the sender."), **button)


def _accepted() -> int:
    """Return how many emails the providers have accepted since the counters were created."""
    return sum(number for count, (number, _) in counters.read("mails").items() if count.labels[0] == ACCEPTED)


def _dns(tests: Tests) -> Step:
    title, button = _("Sender's DNS"), {"test": DNS, "button": _("Look up SPF, DKIM, DMARC")}
    if settings.DEBUG:
        return Step(title, State.LATER, _("Emails need no records during development."))
    test = tests.get(DNS)
    if test is None:
        domains = ", ".join(settings.SENDER_DOMAINS)
        return Step(
            title,
            State.OPEN,
            _("Not looked up yet: %s.") % domains,
            _("Without these records, emails are treated as spam."),
            **button,
        )
    wrong = test.verdict in (Verdict.FAULT, Verdict.WARNING)
    state = State.WRONG if wrong else State.DONE if test.verdict == Verdict.OK else State.OPEN
    return Step(
        title, state, f"{test.when} {test.message}", _("Add the records, and look again.") if wrong else "", **button
    )


def _proxy() -> Step:
    title, link = _("Proxy"), {"link": reverse("seen_address"), "label": _("Which address the site sees")}
    if settings.DEBUG:
        return Step(title, State.LATER, _("Without a proxy each client has its own address."), **link)
    found = gravest([*environment.check_https(), *environment.check_proxy()])
    if found.verdict == Verdict.OK:
        return Step(title, State.DONE, _("https, and the proxy's networks are trusted."), **link)
    return Step(title, State.OPEN, translate(found.message), translate(found.action), **link)


def _backup(tests: Tests) -> Step:
    title, button = _("Backup"), {"test": BACKUP, "button": _("I have restored a backup")}
    if settings.DEBUG:
        return Step(title, State.LATER, _("Nothing here needs a backup."))
    if test := tests.get(BACKUP):
        fact = _("%(who)s restored one as a test, at %(at)s.")
        facts = {"who": test.entry.who, "at": dates.format_minute(test.entry.at)}
        return Step(title, State.DONE, fact % facts, **button)
    fact = _("The site cannot see whether the database is backed up.")
    return Step(title, State.OPEN, fact, _("Set it up (docs/operations.md), and restore it once."), **button)


def _alerts(tests: Tests) -> Step:
    title, link = _("Alerts"), {"link": reverse("admin:jobs_alertstate_changelist"), "label": _("Send a test alert")}
    if not channels.any_configured():
        state = State.LATER if settings.DEBUG else State.OPEN
        return Step(
            title, state, _("Off."), _("Set ALERT_TO, ALERT_WEBHOOK or HEARTBEAT_URL (docs/alerts.md)."), **link
        )
    tried = list(_tried(tests))
    if tried or not channels.configured():
        return Step(title, State.DONE, " ".join([_("Receivers are set."), *tried[-1:]]), **link)
    return Step(title, State.OPEN, _("Receivers are set, but none was tested."), _("Send a test alert."), **link)


def _tried(tests: Tests) -> Iterator[str]:
    names: set[Any] = {channel.name for channel in channels.configured()}
    return (test.when for name, test in tests.items() if name in names)
