"""Events: emitted once, signed, tried again, replayed, due again after an outage, and never in contradiction."""

from dataclasses import replace
from datetime import timedelta
from unittest.mock import Mock

import pytest
from django.core import mail
from django.core.management import call_command
from django.db import OperationalError, connection, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.events import outage, request, sender
from accounts.events import replay as replays
from accounts.events.delivery import EventDelivery
from accounts.events.emit import emit, ping
from accounts.events.endpoint import EventEndpoint, OffReason
from accounts.events.job_type import WAITS
from accounts.secrecy import vault
from accounts.sites.outcomes import emit_outcomes
from accounts.sites.site import Site
from accounts.suppression import entries
from jobs.core import errors, job_types, pauses
from jobs.core.job import JobLog, Reason, Status
from jobs.core.pauses import Lane
from jobs.core.scoreboard import process_context
from jobs.maintenance import reconciler, retention
from jobs.queue import actions
from jobs.queue.enqueue import enqueue
from jobs.worker import entry
from jobs.worker.executor import Executor
from jobs.worker.pace import Pace
from tests.support.events import endpoint_of, events, run_due
from tests.support.mail import PAYLOAD
from tests.support.receiver import Receiver, signed_by

pytestmark = pytest.mark.django_db(transaction=True)
DATA = {"jobId": "1", "userId": "bat"}


@pytest.fixture
def receiver(settings, monkeypatch):
    settings.EVENT_ALLOW_PRIVATE = True
    monkeypatch.setattr(process_context(), "executor", Executor(50))
    monkeypatch.setattr(sender, "this_process", sender.Attempts())
    with Receiver() as running:
        yield running


@pytest.fixture
def shop(receiver):
    """An endpoint of the site "shop", and its secret."""
    return endpoint_of(receiver.url)


def make_due(**where):
    """Lets time pass until all waiting events are due."""
    JobLog.objects.filter(status__in=["enqueued", "failed"], **where).update(run_at=timezone.now())


def notice(job_id="shop:7", source="shop", **values):
    """A notice of another site, as it is stored."""
    return enqueue("signin-notification", {**PAYLOAD, **values}, job_id=job_id, user_id="bat", source=source)


def run_notice(job):
    job.refresh_from_db()
    entry.run(job.pk, job.attempt_count + 1)
    job.refresh_from_db()
    return job


@pytest.fixture
def failing_with():
    """Lets the handler of notices raise an error; None: it works."""
    real = job_types.get("signin-notification")

    def behave(error):
        def handler(job):
            if error:
                raise error

        job_types.register(replace(real, handler=handler))

    yield behave
    job_types.register(real)


def test_an_event_is_signed_and_sent_once(shop, receiver):
    endpoint, secret = shop
    for _ in range(3):
        emit("shop", "notice.delivered", DATA, key="shop:1")
    assert run_due() == 1
    [one] = receiver.requests
    assert signed_by(secret, one)
    assert one.body == {"type": "notice.delivered", "timestamp": one.body["timestamp"], "data": DATA}
    assert one.body["timestamp"].endswith("Z")
    job = events().get()
    assert (one.id, job.status, job.source, job.user_id, job.lane) == (job.job_id, "completed", "shop", "bat", "bulk")
    [delivery] = EventDelivery.objects.all()
    assert (delivery.endpoint, delivery.event_id, delivery.status_code, delivery.error) == (endpoint, one.id, 204, "")


def test_an_event_is_emitted_with_its_transaction_or_not_at_all(shop):
    with transaction.atomic():
        emit("shop", "notice.delivered", DATA, key="shop:1")
        transaction.set_rollback(True)
    assert not events().exists()


def test_each_endpoint_gets_the_types_that_it_wants_and_no_other_site_gets_any(shop, receiver):
    chosen, _ = endpoint_of(receiver.url, types=("sign_in.disputed",))
    endpoint_of(receiver.url, slug="cafe")
    off, _ = endpoint_of(receiver.url)
    off.change(who="tests", on=False)
    emit("shop", "notice.delivered", DATA, key="shop:1")
    emit("shop", "sign_in.disputed", DATA, key="shop:1")
    assert sorted((job.payload["endpoint"], job.payload["type"], job.lane) for job in events()) == [
        (shop[0].pk, "notice.delivered", Lane.BULK),
        (shop[0].pk, "sign_in.disputed", Lane.URGENT),
        (chosen.pk, "sign_in.disputed", Lane.URGENT),
    ]


def test_this_site_asks_for_no_endpoint_and_others_once_for_a_batch(django_assert_num_queries):
    ours, theirs = notice("1", source="signal"), [notice(f"shop:{number}") for number in range(5)]
    for job in (ours, *theirs):
        job.status = Status.COMPLETED
    with django_assert_num_queries(0):
        emit_outcomes([(ours, None)])
    with django_assert_num_queries(1):
        emit_outcomes([(ours, None), *((job, None) for job in theirs)])


def test_the_waits_are_those_of_the_design_and_then_it_is_a_dead_letter(shop, receiver):
    receiver.answer = (500, b"broken")
    emit("shop", "notice.delivered", DATA, key="shop:1")
    waits, before = [], timezone.now()
    while run_due():
        job = events().get()
        waits.append((job.run_at - before, job.run_at - timezone.now()))
        EventEndpoint.objects.update(last_failure_at=timezone.now() - timedelta(hours=1))
        make_due()
        before = timezone.now()
    for wait, (since_before, since_after) in zip(WAITS, waits[:9], strict=True):
        assert since_before >= timedelta(seconds=wait)
        assert since_after <= timedelta(seconds=wait * 1.1)
    job.refresh_from_db()
    assert (job.status, job.dlq_reason, job.error) == ("dlq", "exhausted", "the receiver answered 500")
    assert reconciler.replay_unreachable() == 0
    assert {one.id for one in receiver.requests} == {job.job_id}
    assert len(receiver.requests) == 10
    assert EventDelivery.objects.filter(response="broken", status_code=500).count() == 10


@pytest.mark.parametrize("answer", [(302, b""), (404, b""), (503, b""), b"garbage\r\n\r\n", b""])
def test_every_answer_but_a_success_is_tried_again(shop, receiver, answer):
    receiver.answer = answer
    emit("shop", "notice.delivered", DATA, key="shop:1")
    run_due()
    assert events().get().status == "failed"
    receiver.answer = (200, b"")
    make_due()
    EventEndpoint.objects.update(last_failure_at=timezone.now() - timedelta(hours=1))
    run_due()
    assert events().get().status == "completed"


def test_410_turns_the_endpoint_off_and_what_waits_is_kept_for_a_replay(shop, receiver):
    endpoint, _ = shop
    for number in range(3):
        emit("shop", "notice.delivered", DATA, key=f"shop:{number}")
    receiver.answer = (410, b"gone")
    run_due(pk=events().first().pk)
    endpoint.refresh_from_db()
    assert (endpoint.off_reason, endpoint.off_at is None) == (OffReason.GONE, False)
    run_due()
    assert set(events().values_list("status", "dlq_reason")) == {("dlq", "permanent")}
    assert len(receiver.requests) == 1
    emit("shop", "notice.delivered", DATA, key="shop:9")
    assert events().count() == 3, "an endpoint that is off gets no new event"
    receiver.answer = (204, b"")
    endpoint.change(who="tests", on=True)
    assert replays.replay_since(endpoint, timezone.now() - timedelta(hours=1), who="tests") == 3
    run_due()
    assert events().filter(status="completed").count() == 3


def test_the_events_of_a_deleted_endpoint_are_discarded(shop, receiver):
    emit("shop", "notice.delivered", DATA, key="shop:1")
    shop[0].remove(who="tests")
    run_due()
    assert events().get().status == "discarded"
    assert receiver.requests == []


def test_an_endpoint_that_is_deleted_while_its_event_is_sent_breaks_nothing(shop, receiver):
    def delete(_one):
        sender.EventEndpoint.objects.all().delete()
        return (204, b"")

    receiver.answer = delete
    emit("shop", "notice.delivered", DATA, key="shop:1")
    run_due()
    sender.exchange()
    assert events().get().status == "completed"
    assert sender.this_process.noted == []


def test_attempts_whose_write_failed_half_way_are_written_once(shop, receiver, monkeypatch):
    """The database was lost between the rows and the state of the endpoint, as in a run of the chaos test."""
    with monkeypatch.context() as patched:
        patched.setattr(sender.outage, "judge", Mock(side_effect=OperationalError("away")))
        emit("shop", "notice.delivered", DATA, key="shop:1")
        run_due()
    assert len(sender.this_process.noted) == 1
    sender.exchange()
    assert sender.this_process.noted == []
    assert EventDelivery.objects.count() == 1
    assert EventEndpoint.objects.get().last_success_at


def test_both_secrets_sign_for_a_day_after_a_rotation(shop, receiver):
    endpoint, old = shop
    emit("shop", "notice.delivered", DATA, key="shop:1")
    new = endpoint.rotate(who="tests")
    run_due()
    EventEndpoint.objects.update(former_until=timezone.now() - timedelta(seconds=1))
    emit("shop", "notice.delivered", DATA, key="shop:2")
    run_due()
    during, after = receiver.requests
    assert [signed_by(old, during), signed_by(new, during)] == [True, True]
    assert [signed_by(old, after), signed_by(new, after)] == [False, True]
    stored = EventEndpoint.objects.get()
    assert new not in stored.secret
    assert old not in stored.former_secret


def test_the_secrets_take_part_in_the_rotation_of_the_key(shop, settings):
    endpoint, secret = shop
    endpoint.rotate(who="tests")
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "a new key " * 6
    call_command("rotate_secrets")
    settings.SECRET_KEY_FALLBACKS = []
    endpoint.refresh_from_db()
    assert secret == endpoint.secrets()[1]


def test_a_secret_that_no_key_can_read_holds_its_events_and_no_other(shop, receiver):
    endpoint_of(receiver.url, slug="cafe")
    EventEndpoint.objects.filter(pk=shop[0].pk).update(secret="unreadable")
    for slug in ("shop", "cafe"):
        emit(slug, "notice.delivered", DATA, key=slug)
    run_due()
    assert sorted(events().values_list("source", "status")) == [("cafe", "completed"), ("shop", "failed")]
    assert not pauses.JobTypeState.objects.exists()
    with pytest.raises(vault.Unreadable):
        EventEndpoint.objects.get(pk=shop[0].pk).secrets()


def test_while_a_receiver_fails_one_event_is_tried_and_the_others_wait(shop, receiver):
    receiver.answer = (500, b"")
    process_context().executor.pace = Pace(50, seconds=0.01)
    emit("shop", "notice.delivered", DATA, key="first")
    run_due()
    for number in range(20):
        emit("shop", "notice.delivered", DATA, key=f"later-{number}")
    emit("shop", "sign_in.disputed", DATA, key="dispute")
    run_due()
    assert len(receiver.requests) == 2, "the report of a user is tried in any case"
    EventEndpoint.objects.update(last_failure_at=timezone.now() - timedelta(minutes=5))
    make_due()
    run_due()
    assert len(receiver.requests) == 4, "one of the routine events, and the report"
    waiting = events().filter(status="failed", fingerprint="EndpointFailing")
    assert waiting.exists()
    assert {job.max_attempts - job.attempt_count for job in waiting} <= {9, 10}, "to wait costs no attempt"


def test_the_first_success_after_an_outage_wakes_what_waits_disputes_first(shop, receiver):
    endpoint, _ = shop
    receiver.answer = (503, b"")
    for number in range(30):
        emit("shop", "notice.delivered", DATA, key=f"{number}")
    emit("shop", "sign_in.disputed", DATA, key="dispute")
    for _ in range(3):
        make_due()
        run_due()
    assert events().filter(status="failed").count() == 31
    assert not events().filter(run_at__lte=timezone.now()).exists()
    receiver.answer = (200, b"")
    ping(endpoint, key="now")
    EventEndpoint.objects.update(last_failure_at=timezone.now() - timedelta(minutes=5))
    run_due()
    endpoint.refresh_from_db()
    assert (endpoint.state, endpoint.waking) == ("on", False)
    assert run_due() == 31
    assert not events().exclude(status="completed").exists()
    accepted = [one.body["type"] for one in receiver.accepted]
    assert accepted[0] == "ping"
    assert "sign_in.disputed" in accepted[1:10]  # it is sent first, beside others in parallel
    assert len({one.id for one in receiver.accepted}) == len(receiver.accepted) == 32


def test_what_one_success_cannot_wake_the_next_or_the_reconciler_does(shop, monkeypatch):
    endpoint, _ = shop
    monkeypatch.setattr(outage, "WAKE_CHUNK", 4)
    for number in range(10):
        emit("shop", "notice.delivered", DATA, key=f"{number}")
    later = timezone.now() + timedelta(hours=1)
    events().update(status="failed", attempt_count=1, run_at=later)
    assert outage.wake(endpoint) == 4
    assert outage.waking().exists()
    outage.wake_all()
    assert not events().filter(run_at=later).exists()
    assert not outage.waking().exists()


def test_an_event_that_was_held_back_while_the_outage_ended_is_made_due_too(shop, receiver):
    receiver.answer = (503, b"")
    emit("shop", "notice.delivered", DATA, key="1")
    run_due()
    receiver.answer = (200, b"")
    make_due()
    EventEndpoint.objects.update(last_failure_at=timezone.now() - timedelta(seconds=30))
    run_due()
    emit("shop", "notice.delivered", DATA, key="2")
    late = events().exclude(status="completed")
    late.update(status="failed", attempt_count=1, run_at=timezone.now() + timedelta(minutes=5))
    assert outage.waking().exists()
    outage.wake_all()
    assert run_due() == 1
    assert not events().exclude(status="completed").exists()
    EventEndpoint.objects.update(last_failure_at=timezone.now() - timedelta(minutes=3))
    assert not outage.waking().exists()


def test_five_days_without_success_turn_the_endpoint_off_and_the_support_is_emailed(shop, receiver):
    endpoint, _ = shop
    Site.objects.filter(slug="shop").update(support_email="help@shop.example", language="en")
    receiver.answer = (500, b"")
    emit("shop", "notice.delivered", DATA, key="1")
    run_due()
    EventEndpoint.objects.update(failing_since=timezone.now() - timedelta(days=4, hours=23))
    make_due()
    EventEndpoint.objects.update(last_failure_at=timezone.now() - timedelta(hours=1))
    run_due()
    endpoint.refresh_from_db()
    assert endpoint.state == "failing"
    EventEndpoint.objects.update(
        failing_since=timezone.now() - timedelta(days=5, hours=1), last_failure_at=timezone.now() - timedelta(hours=1)
    )
    make_due()
    run_due()
    endpoint.refresh_from_db()
    assert (endpoint.state, endpoint.off_reason) == ("off", OffReason.FAILING)
    [email] = JobLog.objects.filter(job_type="account-mail")
    entry.run(email.pk, 1)
    [sent] = mail.outbox
    assert sent.to == ["help@shop.example"]
    assert "turned off" in sent.subject
    assert "127.0.0.1" in sent.body
    assert "token=abc" not in sent.body


def test_the_outcome_of_a_notice_is_an_event(shop, receiver, monkeypatch, failing_with):
    failing_with(None)
    run_notice(notice("shop:a"))
    failing_with(errors.Permanent("550 no such user"))
    run_notice(notice("shop:b"))
    entries.suppress("dead@example.mn", entries.SuppressionReason.BOUNCED, reported_by="tests", at=timezone.now())
    run_notice(notice("shop:c", email="dead@example.mn"))
    failing_with(errors.Obsolete("the user turned routine notices off"))
    run_notice(notice("shop:d"))
    failing_with(errors.Obsolete("something else"))
    run_notice(notice("shop:e"))
    failing_with(None)
    run_notice(notice("1", source="signal"))
    assert [(job.payload["type"], job.payload["data"]) for job in events()] == [
        ("notice.delivered", {"jobId": "a", "userId": "bat"}),
        ("notice.failed", {"jobId": "b", "userId": "bat", "reason": "permanent", "errorClass": "permanent"}),
        ("notice.suppressed", {"jobId": "c", "userId": "bat", "reason": "bounced"}),
        ("notice.suppressed", {"jobId": "d", "userId": "bat", "reason": "opted-out"}),
    ]


def test_a_settlement_that_is_undone_undoes_its_event_too(shop, monkeypatch, failing_with):
    failing_with(None)
    job = notice()

    def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr("jobs.worker.settlement.counters.add", broken)
    with pytest.raises(ZeroDivisionError):
        run_notice(job)
    job.refresh_from_db()
    assert (job.status, events().count()) == ("processing", 0)


def test_an_event_that_cannot_be_written_undoes_no_settlement(shop, monkeypatch, failing_with):
    failing_with(None)
    monkeypatch.setattr("accounts.events.emit.enqueue_jobs", lambda _: connection.cursor().execute("SELECT 1/0, x"))
    assert run_notice(notice()).status == "completed"


def test_an_outage_of_the_mail_server_makes_no_failed_event_before_its_replay_failed_too(
    shop, monkeypatch, failing_with
):
    failing_with(errors.Unreachable("no answer"))
    job = notice()
    JobLog.objects.update(max_attempts=1)
    assert run_notice(job).status == "dlq"
    assert not events().exists()
    assert reconciler.replay_unreachable() == 1
    JobLog.objects.update(max_attempts=F("attempt_count") + 1)
    assert run_notice(job).status == "dlq"
    [event] = events()
    assert event.payload["data"]["reason"] == "exhausted"


def test_a_failed_event_waits_while_a_breaker_may_replay_its_notice_and_goes_when_it_does(
    shop, receiver, monkeypatch, failing_with
):
    failing_with(errors.Permanent("554 relay access denied"))
    job = run_notice(notice())
    event = events().get()
    assert event.run_at > timezone.now() + timedelta(seconds=60)
    state = pauses.JobTypeState.objects.create(
        job_type="signin-notification", breaker_opened_at=timezone.now(), breaker_error="554 relay access denied"
    )
    make_due()
    run_due()
    assert (events().get().status, receiver.requests) == ("failed", [])
    reconciler.replay_first_refused(state)
    state.delete()
    failing_with(None)
    assert run_notice(job).status == "completed"
    make_due()
    run_due()
    make_due()
    run_due()
    assert [one.body["type"] for one in receiver.requests] == ["notice.delivered"]


def test_an_operator_who_discards_or_a_site_that_cancels_makes_no_event(shop):
    job = notice()
    actions.discard(job, who="saraa")
    assert not events().exists()


def test_many_events_are_replayed_in_chunks_of_which_the_first_is_sent_now(shop, monkeypatch):
    endpoint, _ = shop
    monkeypatch.setattr(replays, "CHUNK", 4)
    for number in range(10):
        emit("shop", "notice.delivered", DATA, key=f"{number}")
    events().update(status="dlq", dlq_reason="exhausted", processed_at=timezone.now())
    assert replays.replay_since(endpoint, timezone.now() - timedelta(hours=1), who="tests") == 10
    assert events().filter(status="enqueued").count() == 4
    assert replays.replaying().exists()
    replays.replay_rest()
    assert events().filter(status="enqueued").count() == 10
    assert not replays.replaying().exists()


def test_what_fails_again_is_not_replayed_without_end(shop, receiver):
    endpoint, _ = shop
    emit("shop", "notice.delivered", DATA, key="1")
    events().update(status="dlq", dlq_reason="exhausted", processed_at=timezone.now())
    since = timezone.now() - timedelta(hours=1)
    assert replays.replay_since(endpoint, since, who="tests") == 1
    events().update(status="dlq", dlq_reason="permanent", processed_at=timezone.now())
    replays.replay_rest()
    assert events().get().status == "dlq"
    assert not replays.replaying().exists()
    emit("shop", "notice.delivered", DATA, key="2")
    later = timezone.now() + timedelta(hours=1)
    events().update(status="failed", attempt_count=1, run_at=later)
    endpoint.note_success()
    EventEndpoint.objects.update(waking=True)
    endpoint.note_failure()
    outage.wake_all()
    assert events().filter(run_at=later).count() == 2, "the next success makes them due"


def test_events_that_wait_are_tried_soon_at_another_url(shop, receiver):
    endpoint, _ = shop
    receiver.answer = (500, b"")
    for number in range(5):
        emit("shop", "notice.delivered", DATA, key=f"{number}")
    run_due()
    with Receiver() as other:
        endpoint.change(who="tests", url=other.url)
        outage.wake_all()
        assert run_due() == 5
        assert len(other.accepted) == 5


def test_one_event_is_replayed_by_its_id(shop, receiver):
    endpoint, _ = shop
    receiver.answer = (500, b"")
    emit("shop", "notice.delivered", DATA, key="1")
    run_due()
    job = events().get()
    receiver.answer = (200, b"")
    EventEndpoint.objects.update(last_failure_at=timezone.now() - timedelta(hours=1))
    assert replays.replay_one(endpoint, job.job_id, who="tests") == job
    assert run_due() == 1
    assert events().get().status == "completed"
    assert replays.replay_one(endpoint, "evt_" + "0" * 32, who="tests") is None
    assert replays.replay_one(endpoint_of(receiver.url, slug="cafe")[0], job.job_id, who="tests") is None


def test_a_history_is_masked_and_old_rows_are_deleted(shop, receiver):
    receiver.answer = (500, "бат bat@example.mn 203.0.113.9 \x00\x1b[31m".encode() + b"\xff" * 2000)
    emit("shop", "notice.delivered", DATA, key="1")
    run_due()
    row = EventDelivery.objects.get()
    assert "bat@" not in row.response
    assert "203.0.113.9" not in row.response
    assert len(row.response) <= request.EXCERPT_BYTES
    EventDelivery.objects.update(at=timezone.now() - timedelta(days=31))
    assert retention.prune(dry_run=True)["deliveries of events deleted"] == 1
    retention.prune()
    assert not EventDelivery.objects.exists()


def test_a_batch_of_events_takes_a_handful_of_statements(shop, receiver):
    process_context().executor.pace = Pace(50, seconds=0.01)
    for number in range(20):
        emit("shop", "notice.delivered", DATA, key=f"{number}")
    with CaptureQueriesContext(connection) as queries:
        run_due()
    assert len(receiver.accepted) == 20
    written = [query["sql"] for query in queries if "eventdelivery" in query["sql"]]
    assert len(written) < 20


def test_a_dead_letter_that_nothing_replays_has_its_event_immediately(shop, monkeypatch, failing_with):
    failing_with(errors.Temporary("451 later"))
    job = notice()
    JobLog.objects.update(max_attempts=1)
    run_notice(job)
    assert job.dlq_reason == Reason.EXHAUSTED
    assert events().get().run_at <= timezone.now()
