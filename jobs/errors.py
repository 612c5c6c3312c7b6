"""What a handler may raise, and what becomes of the job (docs/job-lifecycle.md).

    JobError
    ├── Temporary       4xx, timeout: tried again after 2, 4, 8, 16 s, then `dlq` exhausted
    │   └── Unreachable the server did not answer at all: the same, and replayed by itself once it answers again
    ├── Throttled       421, 429: waits, and the attempt is given back
    ├── Configuration   535, 530, TLS: the job type pauses until a probe succeeds; no job burns an attempt
    └── Permanent       5xx on the recipient or the content, a bad address: `dlq` permanent at once

Any other exception is a fault of ours and counts as temporary: a deploy may mend it between two attempts.
"""

import traceback
from dataclasses import dataclass
from enum import StrEnum

MAX_ERROR = 2_000  # characters kept of a message: servers may answer with megabytes
MAX_TRACE = 20_000


class ErrorClass(StrEnum):
    TEMPORARY = "temporary"
    UNREACHABLE = "unreachable"
    THROTTLED = "throttled"
    CONFIGURATION = "configuration"
    PERMANENT = "permanent"


class JobError(Exception):
    """An error whose class the handler knows. `code`: the server's reply code; `retry_after`: seconds it asked for."""

    error_class = ErrorClass.TEMPORARY

    def __init__(self, message: str, *, code: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after = retry_after


class Temporary(JobError):
    pass


class Unreachable(Temporary):
    error_class = ErrorClass.UNREACHABLE


class Throttled(JobError):
    error_class = ErrorClass.THROTTLED


class Configuration(JobError):
    error_class = ErrorClass.CONFIGURATION


class Permanent(JobError):
    error_class = ErrorClass.PERMANENT


@dataclass(frozen=True)
class Failure:
    """One failed attempt, as it is stored. `fingerprint` groups equal errors: "SMTPRecipientsRefused 550"."""

    error_class: str
    fingerprint: str
    code: int | None
    error: str
    trace: str
    retry_after: float | None = None


def describe(exc: BaseException) -> Failure:
    """The failure that `exc` stands for; texts are cut to MAX_ERROR and MAX_TRACE and hold no NUL (PostgreSQL)."""
    root = exc.__cause__ if isinstance(exc, JobError) and exc.__cause__ else exc
    code = getattr(exc, "code", None)
    trace = "".join(traceback.format_exception(exc))
    return Failure(
        error_class=getattr(exc, "error_class", ErrorClass.TEMPORARY),
        fingerprint=(type(root).__name__ + (f" {code}" if code else ""))[:100],
        code=code if isinstance(code, int) else None,
        error=_storable(str(exc) or type(exc).__name__, MAX_ERROR),
        trace=_storable(trace, MAX_TRACE),
        retry_after=getattr(exc, "retry_after", None),
    )


def _storable(text: str, longest: int) -> str:
    text = text.replace("\x00", "").encode("utf-8", "replace").decode()
    return text if len(text) <= longest else text[: longest // 2] + "\n[...]\n" + text[-longest // 2 :]
