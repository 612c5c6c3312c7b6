"""Requests and responses of the API as pydantic models; the OpenAPI document is made from them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from django.conf import settings
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

from jobs.core.job import Status
from jobs.queue.criteria import JobCriteria
from notifier.api import fields

IP_ADDRESS = {
    "type": "string",
    "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}],
    "description": "IPv4 or IPv6; 0.0.0.0 when it is not known.",
}
LOCALE = {"type": "string", "enum": [code for code, _name in settings.LANGUAGES]}
ERROR_CLASS = r"^[a-z]{1,16}$"
JOB_TYPE = r"^[A-Za-z0-9._-]{1,64}$"
PAGE_SIZE = 50
MAX_PAGE_SIZE = 200
LIMIT = {"anyOf": [{"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE}, {"type": "string", "maxLength": 0}]}
Limit = Annotated[
    int,
    Field(ge=1, le=MAX_PAGE_SIZE),
    BeforeValidator(lambda value: value or PAGE_SIZE),
    WithJsonSchema(LIMIT),
]
MAX_BATCH = 100
Reason = Literal["exhausted", "permanent", "poison", "expired", "suppressed"]


class RequestBody(BaseModel):
    """A JSON body with exactly these fields and types; unknown fields are refused."""

    model_config = ConfigDict(alias_generator=to_camel, strict=True, extra="forbid")


class SignInNotification(RequestBody):
    """A sign-in at the calling site."""

    user_id: Annotated[
        str, Field(min_length=1, max_length=128, pattern=fields.NO_CONTROLS, description="Your user's id.")
    ]
    email: Annotated[
        str, Field(max_length=254, pattern=fields.EMAIL, description="ASCII."), AfterValidator(fields.address)
    ]
    name: Annotated[
        str, Field(max_length=200, pattern=fields.NO_NUL, description="The name with which the email greets the user.")
    ]
    provider: Annotated[
        str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$", description="password, github, google, …")
    ]
    ip_address: Annotated[str, Field(max_length=45), WithJsonSchema(IP_ADDRESS), AfterValidator(fields.ip)]
    user_agent: Annotated[
        str,
        Field(
            max_length=16_384,
            pattern=fields.NO_NUL,
            description="Only the names of the browser and the operating system are stored.",
        ),
    ]
    timestamp: Annotated[
        str,
        Field(pattern=fields.RFC3339, description="RFC 3339 with a zone; at most 24 hours old and 10 minutes ahead."),
        AfterValidator(fields.timestamp),
    ]
    job_id: Annotated[
        str | None,
        Field(pattern=fields.JOB_ID, description="The idempotency key. Without one, it is made from the other fields."),
    ] = None
    locale: Annotated[
        Annotated[str, AfterValidator(fields.language), WithJsonSchema(LOCALE)] | None,
        Field(description="The language of the email."),
    ] = None
    timezone: Annotated[
        Annotated[str, Field(max_length=255), AfterValidator(fields.zone)] | None,
        Field(
            description="IANA name, old or new. The email gives times in this zone; in the site's for an unknown one."
        ),
    ] = None
    device_id: Annotated[
        Annotated[str, Field(min_length=1, max_length=128, pattern=fields.NO_CONTROLS)] | None,
        Field(
            description="Your own id of the browser, for example from a cookie: a known one makes no alert. "
            "Only a keyed hash is stored."
        ),
    ] = None

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "userId": "42",
                    "email": "bat@example.mn",
                    "name": "Бат",
                    "provider": "github",
                    "ipAddress": "203.0.113.7",
                    "userAgent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/126.0",
                    "timestamp": "2026-03-01T09:30:00+08:00",
                    "jobId": "shop-signin-7f3a",
                    "locale": settings.LANGUAGE_CODE,
                    "timezone": "Asia/Ulaanbaatar",
                    "deviceId": "d7c0e1f2-4a0b-4a53-9c0e-1f2d7c0e1f2d",
                }
            ]
        }
    )


class Batch(RequestBody):
    """Several sign-ins at the calling site."""

    items: Annotated[
        list[dict[str, Any]],
        Field(
            min_length=1,
            max_length=MAX_BATCH,
            description="Each as the body of enqueueSignInNotification.",
        ),
    ]


class JobQuery(BaseModel):
    """The query string of the list of jobs. An empty value counts as missing."""

    model_config = ConfigDict(alias_generator=to_camel)

    status: Literal["", "enqueued", "processing", "completed", "failed", "dlq", "discarded"] = ""
    cursor: Annotated[str, Field(max_length=200, description="nextCursor of the previous page.")] = ""
    limit: Limit = PAGE_SIZE


class DeadLetterFilter(RequestBody):
    """Which dead letters to replay. An empty filter matches all of them."""

    reason: Reason | None = None
    error_class: Annotated[str | None, Field(pattern=ERROR_CLASS, examples=["temporary"])] = None
    job_type: Annotated[str | None, Field(pattern=JOB_TYPE, examples=["signin-notification"])] = None

    def criteria(self) -> JobCriteria:
        """Return the criteria that the fields mean."""
        return JobCriteria(**self.model_dump(exclude_none=True))


class BulkReplayOrder(RequestBody):
    """Which dead letters to replay."""

    filter: DeadLetterFilter
    dry_run: Annotated[bool, Field(description="Only count.")] = False


class PageQuery(BaseModel):
    """The query string of a list. An empty value counts as missing."""

    model_config = ConfigDict(alias_generator=to_camel)

    cursor: Annotated[str, Field(max_length=200, description="nextCursor of the previous page.")] = ""
    limit: Limit = PAGE_SIZE


class DeadLetterQuery(PageQuery):
    """The query string of the list of dead letters."""

    reason: Literal["", "exhausted", "permanent", "poison", "expired", "suppressed"] = ""
    error_class: Annotated[str, Field(pattern=r"^[a-z]{0,16}$")] = ""
    job_type: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{0,64}$")] = ""

    def criteria(self) -> JobCriteria:
        """Return the criteria that the filters mean."""
        return JobCriteria(reason=self.reason, error_class=self.error_class, job_type=self.job_type)


class ResponseBody(BaseModel):
    """A JSON body in camelCase, read from a model's attributes."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, from_attributes=True)


class JobState(ResponseBody):
    """A job's id and status."""

    job_id: str
    status: Annotated[str, Field(json_schema_extra={"enum": Status.values})]


class Accepted(JobState):
    """A notice that was accepted, and the verdict on its sign-in."""

    new_device: Annotated[bool, Field(description="Whether the user has not signed in from this device before.")]
    signals: Annotated[
        list[Literal["new_country", "after_failures", "long_absence", "two_countries"]],
        Field(description="What is unusual about the sign-in."),
    ]


class Job(JobState):
    """A job as its caller may see it."""

    job_type: str
    attempt_count: int
    max_attempts: int
    created_at: datetime
    next_attempt_at: datetime | None
    processed_at: datetime | None
    error: str | None


class Jobs(ResponseBody):
    """One page of jobs."""

    items: list[Job]
    next_cursor: str | None


class BatchResult(ResponseBody):
    """The result of one item of a batch."""

    status: Annotated[int, Field(description="202, 400, 409, 422 or 429, as for a request of its own.")]
    body: Annotated[dict[str, Any], Field(description="The body of that response.")]


class BatchResults(ResponseBody):
    """The results of a batch, in the order of its items."""

    items: list[BatchResult]


class DeadLetter(JobState):
    """A job that ended in the dead letter queue."""

    job_type: str
    user_id: str
    source: str
    reason: str = Field(validation_alias="dlq_reason")
    error_class: str
    error: str
    attempt_count: int
    max_attempts: int
    created_at: datetime
    processed_at: datetime | None


class DeadLetters(ResponseBody):
    """One page of dead letters."""

    items: list[DeadLetter]
    next_cursor: str | None


class BulkReplayStarted(ResponseBody):
    """How many dead letters match, and the replay that was started."""

    matched: int
    batch_id: str | None


class FieldError(ResponseBody):
    """What is wrong with one field."""

    field: str
    message: str


class ProblemDetails(ResponseBody):
    """Problem details (RFC 9457). `errors` is present for the type invalid-fields."""

    type: str
    title: str
    status: int
    detail: str | None = None
    errors: list[FieldError] | None = None


class Conflict(ResponseBody):
    """Problem details (RFC 9457). `status` is the job's status if the job belongs to the caller."""

    type: str
    title: str
    status: str | int
    detail: str | None = None
    job_id: str
