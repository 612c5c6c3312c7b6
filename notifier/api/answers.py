"""What the API gives, as pydantic models; the OpenAPI document is made from them."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from jobs.models import Status


class Wire(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, from_attributes=True)


class JobState(Wire):
    job_id: str
    status: Annotated[str, Field(json_schema_extra={"enum": Status.values})]


class Job(JobState):
    job_type: str
    attempt_count: int
    max_attempts: int
    created_at: datetime
    next_attempt_at: datetime | None
    processed_at: datetime | None
    error: str | None


class DeadLetter(JobState):
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


class DeadLetters(Wire):
    items: list[DeadLetter]
    next_cursor: str | None


class BulkReplayStarted(Wire):
    matched: int
    batch_id: str | None


class FieldError(Wire):
    field: str
    message: str


class ProblemDetails(Wire):
    """RFC 9457. `errors` comes with the type invalid-fields."""

    type: str
    title: str
    status: int
    detail: str | None = None
    errors: list[FieldError] | None = None


class Conflict(Wire):
    """RFC 9457, with the job's own status in `status` where the job is one of yours."""

    type: str
    title: str
    status: str | int
    detail: str | None = None
    job_id: str
