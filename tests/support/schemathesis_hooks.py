"""What the OpenAPI document cannot say: recent times, known zones, cursors of earlier pages, lengths of parts."""

import json
import uuid
from datetime import UTC, datetime
from urllib.parse import urlencode

import schemathesis
from schemathesis import GenerationMode

LONGEST_WAIT = 20  # notifier/api/operations.py


@schemathesis.hook
def before_call(context, case, kwargs):
    _shorten_wait(case.query or {})
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE:
        return
    if isinstance(case.body, dict) and "timestamp" in case.body:
        case.body["timestamp"] = datetime.now(UTC).isoformat()
    if isinstance(case.body, dict) and isinstance(case.body.get("timezone"), str):
        case.body["timezone"] = "Asia/Hovd"
    if isinstance(case.body, dict) and isinstance(case.body.get("jobId"), str):
        case.body["jobId"] = f"one-user-only-{uuid.uuid4()}"  # with another user's: 422
    if case.headers and "Idempotency-Key" in case.headers:  # another name for jobId; with another body: 422
        case.headers["Idempotency-Key"] = (case.body or {}).get("jobId") or f"one-body-only-{uuid.uuid4()}"
    if isinstance(case.body, dict) and len(str(case.body.get("email")).rpartition("@")[0]) > 64:
        case.body["email"] = "bat@example.mn"
    if isinstance(case.body, dict) and isinstance(case.body.get("url"), str):
        case.body["url"] = "https://shop.example/events"
    if isinstance(case.body, dict) and isinstance(case.body.get("failedSince"), str):
        case.body["failedSince"] = datetime.now(UTC).isoformat()
    if case.query and "cursor" in case.query:
        case.query["cursor"] = ""


@schemathesis.hook
def filter_query(context, query):
    """gunicorn itself answers a request line of more than 4,094 bytes."""
    return len(urlencode(query or {}, doseq=True)) < 3000


@schemathesis.hook
def filter_body(context, body):
    """A body of more than 64 KiB is refused with 413, whatever is wrong in it."""
    return len(json.dumps(body, default=str)) < 50_000


def _shorten_wait(query):
    """Let a wait end soon: no worker runs, so no job ends. One that is not allowed stays as it is."""
    if str(query.get("wait")).isdecimal() and int(query["wait"]) <= LONGEST_WAIT:
        query["wait"] = min(int(query["wait"]), 1)
