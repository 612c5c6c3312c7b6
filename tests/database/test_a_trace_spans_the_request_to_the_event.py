"""One trace holds the request, the enqueue, the worker, the email and the event; without it nothing is imported."""

import json
import sys
from itertools import pairwise

import pytest
from django.conf import settings as django_settings

from accounts.events import sender
from jobs import tracing
from jobs.core.job import JobLog
from jobs.core.scoreboard import process_context
from jobs.worker import entry
from jobs.worker.executor import Executor
from tests.processes.test_wrong_settings_stop_the_start import REQUIRED, start
from tests.support.api_client import key, notification, post
from tests.support.events import endpoint_of, events, run_due
from tests.support.receiver import Receiver

NAME, ADDRESS, IP = "Бат-Эрдэнэ", "bat.erdene@example.mn", "203.0.113.9"
BROWSER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def spans(monkeypatch):
    pytest.importorskip("opentelemetry.sdk", reason="requirements-otel.txt")
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from notifier.ops.traces import OpenTelemetry

    exporter = InMemorySpanExporter()
    tracing.use(OpenTelemetry(lambda: SimpleSpanProcessor(exporter)))
    yield exporter.get_finished_spans
    tracing.use(None)


@pytest.fixture
def receiver(settings, monkeypatch):
    settings.EVENT_ALLOW_PRIVATE = True
    monkeypatch.setattr(process_context(), "executor", Executor(50))
    monkeypatch.setattr(sender, "this_process", sender.Attempts())
    with Receiver() as running:
        endpoint_of(running.url)
        yield running


def context_of(span):
    return f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-01"


def body(number):
    return notification(userId=f"u{number}", jobId=f"n{number}", name=NAME, email=ADDRESS, ipAddress=IP)


@pytest.mark.django_db(transaction=True)
def test_one_trace_holds_the_request_the_enqueue_the_worker_the_email_and_the_event(client, spans, receiver):
    response = post(client, body(1), key("enqueue", name="shop"), traceparent=BROWSER)
    assert response.status_code == 202, response.content
    job = JobLog.objects.get(job_id="shop:n1")
    entry.run(job.pk, 1)
    assert run_due() == 1
    made = {(span.kind.name, span.name): span for span in spans() if span.name != "receive"}
    order = [
        ("SERVER", "POST /api/jobs/signin-notification"),
        ("PRODUCER", "send signin-notification"),
        ("CONSUMER", "process signin-notification"),
        ("CLIENT", "send mail"),
    ]
    assert {f"{span.context.trace_id:032x}" for span in made.values()} == {BROWSER.split("-")[1]}
    for parent, child in pairwise(order):
        assert made[child].parent.span_id == made[parent].context.span_id
    assert made["PRODUCER", "send event"].parent.span_id == made[order[1]].context.span_id
    assert made["CLIENT", "POST"].parent.span_id == made["CONSUMER", "process event"].context.span_id
    assert receiver.requests[0].headers["traceparent"] == context_of(made["CLIENT", "POST"])
    assert events().get().traceparent == context_of(made["PRODUCER", "send event"])


@pytest.mark.django_db(transaction=True)
def test_what_a_batch_receives_links_to_every_job_of_it(client, spans, receiver):
    token = key("enqueue", name="shop")
    for number in range(3):
        post(client, body(number), token)
    jobs = JobLog.objects.filter(job_type="signin-notification").order_by("pk")
    entry.run_many([(job.pk, 1) for job in jobs])
    links = [link.context for span in spans() if span.name == "receive" for link in span.links]
    linked = [f"00-{context.trace_id:032x}-{context.span_id:016x}" for context in links]
    assert sorted(linked) == sorted(job.traceparent[:-3] for job in jobs)
    assert len(linked) == 3


@pytest.mark.django_db(transaction=True)
def test_no_span_holds_an_address_a_name_or_a_text_of_an_error(client, spans, receiver, monkeypatch):
    post(client, body(1), key("enqueue", name="shop"))
    monkeypatch.setattr("accounts.mail.smtp._hand_over", lambda *_: 1 / 0)
    entry.run(JobLog.objects.get(job_id="shop:n1").pk, 1)
    failed = [span for span in spans() if span.status.status_code.name == "ERROR"]
    assert {span.attributes["error.type"] for span in failed} == {"ZeroDivisionError"}
    said = json.dumps([json.loads(span.to_json()) for span in spans()])
    for private in (ADDRESS, NAME, IP, "division by zero"):
        assert private not in said


def test_a_parent_that_is_not_a_valid_traceparent_is_not_taken():
    assert tracing.is_traceparent(BROWSER)
    for text in ("", "00-1-2-01", BROWSER + "0", BROWSER.replace("0af7651916cd43dd8448eb211c80319c", "0" * 32)):
        assert not tracing.is_traceparent(text)


@pytest.mark.django_db(transaction=True)
def test_a_job_has_no_trace_while_tracing_is_off(client, receiver):
    post(client, body(1), key("enqueue", name="shop"), traceparent=BROWSER)
    assert JobLog.objects.get(job_id="shop:n1").traceparent == ""


def test_neither_is_imported_while_it_is_off():
    assert (django_settings.SENTRY_DSN, django_settings.OTEL_EXPORTER_OTLP_ENDPOINT) == ("", "")
    code = (
        "import os, sys; os.environ['DJANGO_SETTINGS_MODULE'] = 'notifier.settings'; import notifier.wsgi\n"
        "named = ('opentelemetry.exporter', 'opentelemetry.sdk.trace', 'sentry_sdk')\n"
        "print([name for name in sys.modules if name.startswith(named)])"
    )
    done = start([sys.executable, "-c", code], **REQUIRED)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.fixture
def reports(settings):
    sdk = pytest.importorskip("sentry_sdk", reason="requirements-sentry.txt")
    from notifier.ops import error_reports

    settings.SENTRY_DSN = "https://key@sentry.example.mn/1"
    sent = []

    class Transport(sdk.transport.Transport):
        def capture_envelope(self, envelope):
            sent.append(envelope.get_event())

    error_reports.start(Transport)
    yield sent
    sdk.init()
    tracing.reporters.clear()


@pytest.mark.django_db(transaction=True)
def test_an_error_of_a_handler_is_reported_without_personal_data(client, receiver, reports, monkeypatch):
    def fail(*_: object) -> None:
        secret = ADDRESS
        raise ValueError(f"no mailbox {secret} at {IP} for Бат")

    post(client, body(1), key("enqueue", name="shop"))
    monkeypatch.setattr("accounts.mail.smtp._hand_over", fail)
    entry.run(JobLog.objects.get(job_id="shop:n1").pk, 1)
    (report,) = reports
    (error,) = [each for each in report["exception"]["values"] if each["type"] == "ValueError"]
    assert error["value"] == "no mailbox <address> at <ip> for <text>"
    assert error["stacktrace"]["frames"][-1]["function"] == "fail"
    said = json.dumps(report, ensure_ascii=False, default=str)
    for private in (ADDRESS, IP, NAME):
        assert private not in said
    assert '"vars"' not in said


def test_a_report_of_a_request_has_no_content_no_link_and_no_variables():
    pytest.importorskip("sentry_sdk", reason="requirements-sentry.txt")
    from notifier.ops.error_reports import mask

    event = {
        "exception": {
            "values": [{"type": "E", "value": "a@b.mn", "stacktrace": {"frames": [{"vars": {"p": "secret"}}]}}]
        },
        "request": {"method": "POST", "url": "https://x/t/TOKEN", "cookies": "c", "data": "d", "headers": {"A": "b"}},
        "user": {"ip_address": "203.0.113.9"},
        "transaction": "/accounts/not-me/TOKEN",
        "logentry": {"message": "to a@b.mn"},
    }
    masked = mask(event, {})
    assert masked["request"] == {"method": "POST"}
    assert masked["logentry"] == {"message": "to <address>"}
    assert not {"a@b.mn", "secret", "TOKEN", "203.0.113.9"} & set(json.dumps(masked).replace('"', " ").split())
    assert "TOKEN" not in json.dumps(masked)
