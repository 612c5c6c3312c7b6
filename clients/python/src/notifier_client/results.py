"""The results of reporting a sign-in."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FieldError:
    """An error of one field, in the API's words."""

    field: str
    message: str


@dataclass(frozen=True)
class Problem:
    """Why Notifier refused a request (RFC 9457)."""

    name: str
    """The last part of the problem's type, such as "invalid-fields"; "" when another server answered."""

    title: str = ""
    detail: str = ""
    errors: tuple[FieldError, ...] = ()

    def __str__(self) -> str:
        """Return the name and the fields: no text that another server chose."""
        fields = ", ".join(error.field for error in self.errors)
        return (self.name or "not an answer of Notifier") + (f" ({fields})" if fields else "")


@dataclass(frozen=True)
class Accepted:
    """Notifier has stored the sign-in; its notice will not be lost."""

    job_id: str
    status: str
    new_device: bool | None = None
    """Whether the user has not signed in with this device before; None when the server does not say."""

    signals: tuple[str, ...] = ()
    """What is unusual, such as "new_country" or "after_failures"."""

    ok = True


@dataclass(frozen=True)
class Duplicate:
    """Notifier had stored the sign-in before, by an earlier attempt with the same job id."""

    job_id: str
    ok = True


@dataclass(frozen=True)
class Refused:
    """Notifier refused the sign-in; sending it again would not help."""

    job_id: str
    status: int
    problem: Problem
    ok = False

    def __str__(self) -> str:
        return f"refused: {self.status} {self.problem}"


@dataclass(frozen=True)
class Unreachable:
    """No attempt within the budget got an answer that decides. The sign-in may have arrived."""

    job_id: str
    reason: str
    """The last fault: "TimeoutError", "503 database-away" and so on."""

    attempts: int
    ok = False

    def __str__(self) -> str:
        return f"unreachable after {self.attempts} attempts: {self.reason}"


Result = Accepted | Duplicate | Refused | Unreachable
