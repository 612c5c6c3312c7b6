"""The meaning of an answer: a result, or a wait before the next attempt. Pure functions."""

import json
import random
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

from notifier_client.results import Accepted, Duplicate, FieldError, Problem, Refused, Result
from notifier_client.transport import MAX_ANSWER_BYTES, Answer

FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
TEMPORARY = {408, 425, 429}
PROBLEM_TYPE = re.compile(r"urn:notifier:problem:([a-z0-9-]{1,64})")


@dataclass(frozen=True)
class Retry:
    """Another attempt may succeed."""

    reason: str
    wait: float = 0.0
    """The seconds that the server asked for; 0 when it did not."""


def judge(answer: Answer, job_id: str) -> Result | Retry:
    """Return what an answer means. A success is only what Notifier alone answers."""
    body = read_object(answer.body)
    problem = read_problem(body)
    status = answer.status
    if status == 202:
        return _read_acceptance(body) or Retry("202 that is not an answer of Notifier")
    if status == 409 and problem.name == "duplicate-job":
        return Duplicate(job_id)
    if (status >= 500 or status in TEMPORARY) and problem.name != "too-many-notices":
        return Retry(f"{status} {problem.name}".strip(), read_retry_after(answer.headers.get("Retry-After") or ""))
    return Refused(job_id, status, problem)


def wait_before(attempt: int, asked: float = 0.0) -> float:
    """Return the seconds to wait before an attempt; the second one is 2. At least the seconds that were asked for."""
    pause = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(attempt - 2, 10))
    return max(asked, pause * (1 + random.random() / 10))  # noqa: S311  (spreads the attempts)


def read_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in a body; {} for anything else."""
    try:
        found = json.loads(body) if len(body) <= MAX_ANSWER_BYTES else {}
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def read_problem(body: dict[str, Any]) -> Problem:
    """Return the problem that a body describes; one without a name when it is not Notifier's."""
    kind = PROBLEM_TYPE.fullmatch(_text(body.get("type")))
    if not kind:
        return Problem("")
    errors = body.get("errors")
    found = [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []
    return Problem(
        kind[1],
        _text(body.get("title")),
        _text(body.get("detail")),
        tuple(FieldError(_text(error.get("field")), _text(error.get("message"))) for error in found),
    )


def read_retry_after(value: str) -> float:
    """Return the seconds of a Retry-After, which may be a number or a date; 0 for anything else."""
    if re.fullmatch(r"[0-9]{1,9}", value.strip()):
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(timezone.utc)).total_seconds())
    except (TypeError, ValueError, OverflowError):
        return 0.0


def _read_acceptance(body: dict[str, Any]) -> Accepted | None:
    """Return the result of a 202; None when the body is not Notifier's."""
    job_id, status, signals = body.get("jobId"), body.get("status"), body.get("signals")
    if not isinstance(job_id, str) or not isinstance(status, str):
        return None
    new_device = body.get("newDevice")
    return Accepted(
        job_id,
        status,
        new_device if isinstance(new_device, bool) else None,
        tuple(signal for signal in signals if isinstance(signal, str)) if isinstance(signals, list) else (),
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
