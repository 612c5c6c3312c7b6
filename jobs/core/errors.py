"""The errors that a handler may raise, and the kinds of failure that decide what follows (docs/job-lifecycle.md).

    JobError
    ├── Temporary       4xx, timeout: the next attempts follow after 2, 4, 8, 16 s, then `dlq` exhausted
    │   └── Unreachable no answer from the server: the same, and replayed automatically once it answers again
    ├── Throttled       421, 429: the job waits, and the attempt is given back
    ├── Configuration   535, 530, TLS: the breaker opens until a probe succeeds; no job loses an attempt
    ├── Permanent       5xx on the recipient or the content, a bad address: `dlq` permanent
    └── Obsolete        nothing is left to do: `discarded`, with the reason

Any other exception is a fault of ours and counts as temporary: a deploy may fix it between two attempts.
"""

import re
import traceback
from dataclasses import dataclass

from django.db import models
from django.utils.translation import gettext_lazy as _

MAX_ERROR = 2_000  # characters kept of a message: a server may answer with megabytes
MAX_TRACE = 20_000
MAX_CODE = 32_767  # what the column of a code holds


class ErrorClass(models.TextChoices):
    """The kind of a failure; `retry_policy` decides by it. The values are stored, sent by the API and used in links."""

    TEMPORARY = "temporary", _("temporary")
    UNREACHABLE = "unreachable", _("unreachable")
    THROTTLED = "throttled", _("throttled")
    CONFIGURATION = "configuration", _("configuration")
    PERMANENT = "permanent", _("permanent")
    # decided before the attempt
    POISON = "poison", _("its workers died")
    EXPIRED = "expired", _("too old to send")
    SUPPRESSED = "suppressed", _("suppressed before the attempt")
    OBSOLETE = "obsolete", _("nothing left to do")


class Reason(models.TextChoices):
    """Why a job is a dead letter or discarded."""

    EXHAUSTED = "exhausted", _("every attempt failed")
    PERMANENT = "permanent", _("refused for good")
    POISON = "poison", _("its workers died")
    EXPIRED = "expired", _("too old to send")
    SUPPRESSED = "suppressed", _("suppressed before the attempt")
    CANCELLED = "cancelled", _("cancelled by its caller")


class JobError(Exception):
    """An error whose kind the handler knows; its fields are those of `Failure`."""

    error_class = ErrorClass.TEMPORARY

    def __init__(
        self,
        message: str,
        *,
        code: int | None = None,
        retry_after: float | None = None,
        slow: bool = False,
        outage: bool = False,
        alone: ErrorClass | None = None,
    ) -> None:
        """Keep what the handler knows; the fields are those of `Failure`."""
        super().__init__(message)
        self.code = code
        self.retry_after = retry_after
        self.slow = slow
        self.outage = outage
        self.alone = alone


class Temporary(JobError):
    """The attempt failed and the next one may succeed."""

    pass


class Unreachable(Temporary):
    """The other side could not be reached."""

    error_class = ErrorClass.UNREACHABLE


class Throttled(JobError):
    """The other side asks for a lower rate; the attempt does not count."""

    error_class = ErrorClass.THROTTLED


class Configuration(JobError):
    """The fault is ours: every job of this type would fail."""

    error_class = ErrorClass.CONFIGURATION


class Permanent(JobError):
    """No attempt of this job can succeed."""

    error_class = ErrorClass.PERMANENT


class Obsolete(JobError):
    """Nothing is left to do; the reason is the error."""

    error_class = ErrorClass.OBSOLETE


@dataclass(frozen=True)
class Failure:
    """One failed attempt; the first five fields are stored."""

    error_class: str  # an ErrorClass
    fingerprint: str  # groups equal errors: "SMTPRecipientsRefused 550"
    code: int | None  # the server's reply code
    error: str
    trace: str
    retry_after: float | None = None  # seconds that the server asked for
    slow: bool = False
    """Whether the cause lasts: the next attempt waits for minutes to hours. A slow `configuration` suspends its job
    alone and opens no breaker."""
    outage: bool = False
    """Whether a temporary error affects every job: the dead letter is replayed automatically, as an unreachable."""
    path: str = ""
    """The exception's class, as "module.Class"; "" for an attempt that ended without one."""
    alone: str | None = None
    """The class of a `configuration` error for a job that meets it again after a probe succeeded; None: the same."""

    @property
    def columns(self) -> dict[str, str]:
        """Return the values of the columns that a job and its attempt have in common."""
        return {"error_class": self.error_class, "fingerprint": self.fingerprint, "error": self.error}


def describe(exc: BaseException) -> Failure:
    """Return the failure that an exception means.

    Texts are cut to MAX_ERROR and MAX_TRACE and hold no NUL, which PostgreSQL refuses.
    """
    known = exc if isinstance(exc, JobError) else None  # the fields of any other exception mean something else
    root = known.__cause__ if known and known.__cause__ else exc
    code = _code_of(exc)
    return Failure(
        error_class=known.error_class if known else ErrorClass.TEMPORARY,
        fingerprint=_storable(type(root).__name__ + (f" {code}" if code else ""), MAX_ERROR)[:100],
        code=code,
        error=_storable(_text_of(exc) or type(exc).__name__, MAX_ERROR),
        trace=_storable("".join(traceback.format_exception(exc)), MAX_TRACE),
        retry_after=known.retry_after if known else None,
        slow=bool(known and known.slow),
        outage=bool(known and known.outage),
        path=_storable(f"{type(root).__module__}.{type(root).__qualname__}", MAX_ERROR),
        alone=known.alone if known else None,
    )


def _code_of(exc: BaseException) -> int | None:
    code = getattr(exc, "code", None)
    return code if isinstance(code, int) and not isinstance(code, bool) and 0 <= code <= MAX_CODE else None


def _text_of(exc: BaseException) -> str:
    try:
        return str(exc)
    except Exception:  # an exception whose own text raises one
        return ""


def gist(error: str) -> str:
    """Return an error's words without addresses, links and whatever holds a digit: equal for equal causes."""
    words = (word for word in error.lower().split() if not re.search(r"[@\d]|https?:", word))
    return " ".join(words)[:200]


def _storable(text: str, longest: int) -> str:
    text = text.replace("\x00", "").encode("utf-8", "replace").decode()
    return text if len(text) <= longest else text[: longest // 2] + "\n[...]\n" + text[-longest // 2 :]
