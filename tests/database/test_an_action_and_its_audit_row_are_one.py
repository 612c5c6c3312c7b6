"""P7: an operator's action and its audit row are one transaction. Without the row nothing has happened."""

from contextlib import suppress
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.utils import timezone
from django_q.models import OrmQ

from accounts.sites.keys import ApiKey, Scope
from accounts.suppression.entries import SuppressedAddress
from accounts.suppression.entries import suppress as suppress_address
from accounts.user import User
from jobs.core import audit, counters, pauses
from jobs.core.audit import AuditEntry
from jobs.core.job import JobLog, Status
from jobs.queue import actions, bulk_replay
from jobs.queue.criteria import JobCriteria
from tests.support import operators, sample_types
from tests.support.operators import EVERYTHING, LIST, signed_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.engine]
TYPE = "signin-notification"
TYPES = "/admin/jobs/jobtypestate/"
TOMORROW = f"{timezone.now() + timedelta(days=1):%Y-%m-%dT%H:%M}"


class Refused(Exception):
    pass


@pytest.fixture
def no_audit(monkeypatch):
    """Audit rows that cannot be written, as with a full disk."""

    def refuse(*_: object, **__: object) -> None:
        raise Refused

    def start() -> None:
        monkeypatch.setattr(audit, "record", refuse)

    return start


def state() -> list[object]:
    """Everything that an action changes."""
    return [
        list(JobLog.objects.order_by("pk").values_list("job_id", "status", "max_attempts", "run_at")),
        OrmQ.objects.count(),
        sorted(pauses.suspended().values_list("job_type", flat=True)),
        list(bulk_replay.BulkReplay.objects.values_list("state", flat=True)),
        counters.read(),
        AuditEntry.objects.count(),
    ]


def press(path: str, **data: object):
    return lambda client: client.post(path, data)


def command(*arguments: str):
    return lambda client: call_command("jobs", *arguments)


ACTIONS = {
    "replay of one": press(f"{LIST}1/replay/"),
    "reschedule of one": press(f"{LIST}3/reschedule/", run_at=TOMORROW),
    "discard of one": press(f"{LIST}1/discard/"),
    "replay of the ticked": press(LIST, action="replay", _selected_action=["1", "2"]),
    "discard of the ticked": press(LIST, action="discard", _selected_action=["1", "2"]),
    "discard of a group": press(f"{LIST}discard/?status=dlq"),
    "replay of a group": press(f"{LIST}replay/?status=dlq"),
    "pause": press(f"{TYPES}pause/", job_type=TYPE, why="moving"),
    "resume": press(f"{TYPES}resume/", job_type="test-job"),
    "cancel": lambda client: client.post(f"/admin/jobs/bulkreplay/{bulk_replay.BulkReplay.objects.get().pk}/cancel/"),
    "replay on the command line": command("replay", "a"),
    "discard on the command line": command("discard", "a", "--why", "old"),
    "reschedule on the command line": command("reschedule", "c", "--at", "now"),
    "bulk replay on the command line": command("replay", "--reason", "exhausted"),
    "bulk discard on the command line": command("discard", "--reason", "exhausted"),
    "pause on the command line": command("pause", TYPE),
    "resume on the command line": command("resume", "test-job"),
}


@pytest.mark.parametrize("name", ACTIONS)
def test_an_action_whose_audit_row_is_refused_changes_nothing(name, no_audit):
    client = signed_in(*EVERYTHING)
    with sample_types.registered():
        for number, job_id in enumerate("ab", start=1):
            operators.job(job_id, id=number)
        operators.job("c", Status.ENQUEUED, id=3)
        actions.pause("test-job", who="boss", why="moving")
        bulk_replay.start(JobCriteria(), who="boss")
        before = state()
        no_audit()
        with pytest.raises(Refused):
            ACTIONS[name](client)
    assert state() == before


@pytest.mark.parametrize("verb", ["replay", "discard"])
def test_a_call_of_the_api_whose_audit_row_is_refused_changes_nothing(verb, client, no_audit):
    token = ApiKey.objects.make("ops", [Scope.ADMIN], who="boss")
    operators.job("a")
    before = state()
    no_audit()
    with suppress(Refused):
        answer = client.post(f"/api/admin/dlq/a/{verb}", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 500
    assert state() == before


def test_a_reactivation_whose_audit_row_is_refused_changes_nothing(no_audit):
    client = signed_in(*EVERYTHING)
    operator = client.session["_auth_user_id"]
    rights = Permission.objects.filter(codename__in=["view_suppressedaddress", "reactivate_suppressedaddress"])
    User.objects.get(pk=operator).user_permissions.add(*rights)
    suppress_address("bat@example.mn", "bounced", reported_by="test", at=timezone.now() - timedelta(hours=1))
    entry = SuppressedAddress.objects.get()
    no_audit()
    with pytest.raises(Refused):
        client.post(f"/admin/accounts/suppressedaddress/{entry.pk}/reactivate/", {"why": "mailbox is back"})
    assert SuppressedAddress.objects.active().filter(pk=entry.pk).exists()


def test_each_action_writes_who_and_why_in_its_row():
    with sample_types.registered():
        jobs = [operators.job("a"), operators.job("b")]
        actions.replay(jobs[0], who="boss", why="server is back")
        actions.discard(jobs[1], who="key:shop")
        actions.pause("test-job", who="boss", why="moving")
        actions.resume("test-job", who="cli:root")
    assert list(AuditEntry.objects.order_by("pk").values_list("who", "act", "target", "detail")) == [
        ("boss", "replay", "a", {"why": "server is back"}),
        ("key:shop", "discard", "b", {}),
        ("boss", "pause", "test-job", {"why": "moving"}),
        ("cli:root", "resume", "test-job", {}),
    ]


def test_what_happens_automatically_writes_no_row_of_an_operator():
    dead = operators.job("a")
    assert actions.replay_many([dead], automatic=True) == 1
    assert actions.discard(JobLog.objects.get(), who=None)
    assert JobLog.objects.get().status == Status.DISCARDED
    assert not AuditEntry.objects.exists()
