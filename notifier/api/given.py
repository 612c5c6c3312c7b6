"""What the API takes, as pydantic models: exactly these fields, exactly these types."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

from notifier.api import fields

IP_ADDRESS = {
    "type": "string",
    "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}],
    "description": "IPv4 or IPv6; 0.0.0.0 when it is not known.",
}


class Given(BaseModel):
    """What comes in: exactly these fields, exactly these types."""

    model_config = ConfigDict(alias_generator=to_camel, strict=True, extra="forbid")


class SignInNotification(Given):
    user_id: Annotated[
        str, Field(min_length=1, max_length=128, pattern=fields.NO_CONTROLS, description="Your user's id.")
    ]
    email: Annotated[
        str, Field(max_length=254, pattern=fields.EMAIL, description="ASCII."), AfterValidator(fields.address)
    ]
    name: Annotated[str, Field(max_length=200, pattern=fields.NO_NUL, description="How the mail addresses the person.")]
    provider: Annotated[
        str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$", description="password, github, google, …")
    ]
    ip_address: Annotated[str, Field(max_length=45), WithJsonSchema(IP_ADDRESS), AfterValidator(fields.ip)]
    user_agent: Annotated[
        str, Field(max_length=16_384, pattern=fields.NO_NUL, description="Only the families it names are kept.")
    ]
    timestamp: Annotated[
        str,
        Field(pattern=fields.RFC3339, description="RFC 3339 with a zone; at most 24 hours old and 10 minutes ahead."),
        AfterValidator(fields.moment),
    ]
    job_id: Annotated[
        str | None,
        Field(pattern=fields.JOB_ID, description="The idempotency key; made from the other fields if not given."),
    ] = None
    locale: Annotated[Literal["mn", "en"] | None, Field(description="The mail's language.")] = None
    timezone: Annotated[
        Annotated[str, Field(max_length=64), AfterValidator(fields.zone)] | None,
        Field(description="IANA name; the mail's times are in it."),
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
                    "locale": "mn",
                    "timezone": "Asia/Ulaanbaatar",
                }
            ]
        }
    )


Reason = Literal["exhausted", "permanent", "poison", "expired", "suppressed"]
ERROR_CLASS = r"^[a-z]{1,16}$"
JOB_TYPE = r"^[A-Za-z0-9._-]{1,64}$"


class DeadLetterFilter(Given):
    """Which dead letters; an empty one means all of them."""

    reason: Reason | None = None
    error_class: Annotated[str | None, Field(pattern=ERROR_CLASS, examples=["temporary"])] = None
    job_type: Annotated[str | None, Field(pattern=JOB_TYPE, examples=["signin-notification"])] = None

    def chosen(self) -> dict[str, str]:
        """The fields that were given, by their names on the wire."""
        return self.model_dump(by_alias=True, exclude_none=True)


class BulkReplayOrder(Given):
    filter: DeadLetterFilter
    dry_run: Annotated[bool, Field(description="Only count.")] = False


PAGE = 50
LONGEST_PAGE = 200
LIMIT = {"anyOf": [{"type": "integer", "minimum": 1, "maximum": LONGEST_PAGE}, {"type": "string", "maxLength": 0}]}


class DeadLetterQuery(BaseModel):
    """The query of the list. Empty values count as not given."""

    model_config = ConfigDict(alias_generator=to_camel)

    reason: Literal["", "exhausted", "permanent", "poison", "expired", "suppressed"] = ""
    error_class: Annotated[str, Field(pattern=r"^[a-z]{0,16}$")] = ""
    job_type: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{0,64}$")] = ""
    cursor: Annotated[str, Field(max_length=200, description="nextCursor of the page before.")] = ""
    limit: Annotated[
        int, Field(ge=1, le=LONGEST_PAGE), BeforeValidator(lambda given: given or PAGE), WithJsonSchema(LIMIT)
    ] = PAGE
