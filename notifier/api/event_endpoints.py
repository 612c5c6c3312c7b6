"""Operations on the event endpoints of the key's own site, for keys with the scope admin."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any

from django.core import signing
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.http import HttpRequest
from django.utils import translation
from ninja import Path, Query, Router, Status
from pydantic import AfterValidator, ConfigDict, Field

from accounts.events import emit, replay
from accounts.events.delivery import EventDelivery
from accounts.events.endpoint import CHOSEN_TYPES, TOO_MANY, EventEndpoint
from accounts.events.guard import LONGEST_URL
from accounts.sites.keys import Scope
from jobs.core.job import Status as JobStatus
from jobs.core.sql.keys import LARGEST
from notifier.api import fields, schemas
from notifier.api.auth import BearerKey, Caller, caller_of, refuse
from notifier.api.operations import error_responses
from notifier.api.problems import Problem

router = Router(tags=["Events"])
COMMON: dict[str, Any] = {"auth": [BearerKey(Scope.ADMIN), refuse], "by_alias": True}
BODY_ERRORS = (400, 411, 413, 415)
EVENT_ID = r"^evt_[0-9a-f]{32}$"
EndpointId = Annotated[int, Path(alias="id", ge=1, le=LARGEST, description="The endpoint's id.")]
EventTypes = Annotated[
    list[Annotated[str, Field(json_schema_extra={"enum": CHOSEN_TYPES})]],
    Field(max_length=len(CHOSEN_TYPES), description="The types that it gets; an empty list for all."),
]
Url = Annotated[str, Field(min_length=1, max_length=LONGEST_URL, examples=["https://shop.example/events"])]
_signer = signing.Signer(salt="notifier.api.event_endpoints")


class NewEndpoint(schemas.RequestBody):
    """An event endpoint to create."""

    url: Url
    types: EventTypes = []


class EndpointChange(schemas.RequestBody):
    """What to change; what is left out stays."""

    url: Url | None = None
    types: EventTypes | None = None
    on: Annotated[bool | None, Field(description="false turns it off; true turns it on, whyever it is off.")] = None


class Endpoint(schemas.ResponseBody):
    """An event endpoint."""

    id: int
    url: str
    types: list[str]
    state: Annotated[str, Field(json_schema_extra={"enum": ["on", "failing", "off"]})]
    off_reason: Annotated[str, Field(description="asked, gone, failing; empty while it is on.")]
    created_at: datetime
    last_success_at: datetime | None
    failing_since: datetime | None
    former_until: Annotated[datetime | None, Field(description="Until when the former secret signs, too.")]


class EndpointWithSecret(Endpoint):
    """An event endpoint with its secret, which is returned this once."""

    secret: str


class Endpoints(schemas.ResponseBody):
    """The event endpoints of a site."""

    items: list[Endpoint]


class Delivery(schemas.ResponseBody):
    """One attempt to deliver an event."""

    job_id: str = Field(validation_alias="event_id")
    type: str = Field(validation_alias="event_type")
    attempt: int
    at: datetime
    status_code: int | None
    duration_ms: int = Field(validation_alias="milliseconds")
    response: str
    error: str
    request: Annotated[dict[str, Any] | None, Field(description="The body; null after its retention.")] = None


class Deliveries(schemas.ResponseBody):
    """One page of deliveries."""

    items: list[Delivery]
    next_cursor: str | None


class ReplayOrder(schemas.RequestBody):
    """Which events to send again: exactly one of the two."""

    job_id: Annotated[str, Field(default_factory=str, pattern=EVENT_ID, description="One event.")]
    failed_since: Annotated[
        str,
        Field(default_factory=str, pattern=fields.RFC3339, description="All that failed since this time (RFC 3339)."),
        AfterValidator(fields.instant),
    ]

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["jobId"]}, {"required": ["failedSince"]}]})


class Replayed(schemas.ResponseBody):
    """How many events are sent again."""

    replayed: int


def _find(request: HttpRequest, pk: int) -> EventEndpoint:
    """Return an endpoint of the caller's site. Raise Problem 404 otherwise."""
    found = EventEndpoint.objects.select_related("site").filter(pk=pk, site=caller_of(request).site).first()
    if found is None:
        raise Problem("not-found")
    return found


@contextmanager
def _checked() -> Iterator[None]:
    """Turn what the model refuses into a Problem, in English."""
    with translation.override("en"):
        try:
            yield
        except ValidationError as wrong:
            if any(error.code == TOO_MANY for errors in wrong.error_dict.values() for error in errors):
                raise Problem("too-many-endpoints", " ".join(wrong.messages)) from None
            named = {name.replace(NON_FIELD_ERRORS, "body"): texts for name, texts in wrong.message_dict.items()}
            errors = [{"field": name, "message": " ".join(texts)} for name, texts in named.items()]
            raise Problem("invalid-fields", errors=errors) from None


def _with_secret(endpoint: EventEndpoint, secret: str) -> EndpointWithSecret:
    return EndpointWithSecret(**Endpoint.model_validate(endpoint).model_dump(), secret=secret)


@router.get(
    "",
    **COMMON,
    response={200: Endpoints, **error_responses()},
    operation_id="listEventEndpoints",
    summary="List the event endpoints of the site",
)
def list_endpoints(request: HttpRequest) -> Any:
    """The oldest first."""
    mine = EventEndpoint.objects.filter(site=caller_of(request).site)
    return Endpoints(items=[Endpoint.model_validate(endpoint) for endpoint in mine])


@router.post(
    "",
    **COMMON,
    response={201: EndpointWithSecret, **error_responses(*BODY_ERRORS), 409: schemas.ProblemDetails},
    operation_id="createEventEndpoint",
    summary="Create an event endpoint",
)
def create(request: HttpRequest, endpoint: NewEndpoint) -> Any:
    """The secret is in this response alone. Events are described in docs/events.md."""
    caller: Caller = caller_of(request)
    with _checked():
        made, secret = EventEndpoint.objects.make(caller.site, endpoint.url, endpoint.types, who=caller.who)
    return Status(201, _with_secret(_find(request, made.pk), secret))


@router.get(
    "/{id}",
    **COMMON,
    response={200: Endpoint, **error_responses(400, 404)},
    operation_id="readEventEndpoint",
    summary="Read an event endpoint",
)
def read(request: HttpRequest, endpoint_id: EndpointId) -> Any:
    """Its state is on, failing (the last attempt failed) or off."""
    return Endpoint.model_validate(_find(request, endpoint_id))


@router.patch(
    "/{id}",
    **COMMON,
    response={200: Endpoint, **error_responses(404, *BODY_ERRORS)},
    operation_id="changeEventEndpoint",
    summary="Change an event endpoint",
)
def change(request: HttpRequest, endpoint_id: EndpointId, values: EndpointChange) -> Any:
    """Changes the URL and the types, and turns the endpoint off and on."""
    endpoint = _find(request, endpoint_id)
    with _checked():
        endpoint.change(who=caller_of(request).who, **values.model_dump())
    return Endpoint.model_validate(endpoint)


@router.delete(
    "/{id}",
    **COMMON,
    response={204: None, **error_responses(400, 404)},
    operation_id="deleteEventEndpoint",
    summary="Delete an event endpoint",
)
def delete(request: HttpRequest, endpoint_id: EndpointId) -> Any:
    """Its history goes with it, and its events that wait are discarded."""
    _find(request, endpoint_id).remove(who=caller_of(request).who)
    return Status(204, None)


@router.post(
    "/{id}/rotate",
    **COMMON,
    response={200: EndpointWithSecret, **error_responses(400, 404)},
    operation_id="rotateEventSecret",
    summary="Replace the secret",
)
def rotate(request: HttpRequest, endpoint_id: EndpointId) -> Any:
    """The new secret is in this response alone. For 24 hours events are signed with both."""
    endpoint = _find(request, endpoint_id)
    secret = endpoint.rotate(who=caller_of(request).who)
    return _with_secret(endpoint, secret)


@router.post(
    "/{id}/ping",
    **COMMON,
    response={202: schemas.JobState, **error_responses(400, 404), 409: schemas.ProblemDetails},
    operation_id="pingEventEndpoint",
    summary="Send a test event",
)
def ping(request: HttpRequest, endpoint_id: EndpointId) -> Any:
    """Sends an event of the type ping; the list of deliveries shows its result."""
    endpoint = _find(request, endpoint_id)
    if not endpoint.is_on:
        raise Problem("endpoint-off")
    job = emit.ping(endpoint, key=str(uuid.uuid4()))
    return Status(202, schemas.JobState(job_id=job.job_id, status=job.status))


@router.get(
    "/{id}/deliveries",
    **COMMON,
    response={200: Deliveries, **error_responses(400, 404)},
    operation_id="listEventDeliveries",
    summary="List the deliveries of an endpoint",
)
def list_deliveries(request: HttpRequest, endpoint_id: EndpointId, query: Query[schemas.PageQuery]) -> Any:
    """Every attempt, the latest first. For the next page, send nextCursor as cursor."""
    endpoint = _find(request, endpoint_id)
    rows = EventDelivery.objects.filter(endpoint=endpoint).order_by("-pk")
    if query.cursor:
        rows = rows.filter(pk__lt=_read_cursor(query.cursor))
    page = list(rows[: query.limit + 1])
    more, page = len(page) > query.limit, page[: query.limit]
    bodies = replay.bodies_of(endpoint, page)
    items = [Delivery.model_validate(row).model_copy(update={"request": bodies.get(row.event_id)}) for row in page]
    return Deliveries(items=items, next_cursor=_signer.sign_object(page[-1].pk) if more else None)


def _read_cursor(cursor: str) -> int:
    try:
        return int(_signer.unsign_object(cursor))
    except (signing.BadSignature, ValueError, TypeError):
        raise Problem("invalid-cursor") from None


@router.post(
    "/{id}/replay",
    **COMMON,
    response={202: Replayed, **error_responses(404, *BODY_ERRORS), 409: schemas.ProblemDetails},
    operation_id="replayEvents",
    summary="Send failed events again",
)
def replay_events(request: HttpRequest, endpoint_id: EndpointId, order: ReplayOrder) -> Any:
    """Dead letters, and events that wait for their next attempt: one, or all that failed since a time."""
    endpoint = _find(request, endpoint_id)
    if bool(order.job_id) == bool(order.failed_since):
        message = "is required, or failedSince; and not both"
        raise Problem("invalid-fields", errors=[{"field": "jobId", "message": message}])
    if not endpoint.is_on:
        raise Problem("endpoint-off")
    who = caller_of(request).who
    if order.failed_since:
        since = datetime.fromisoformat(order.failed_since)
        return Status(202, Replayed(replayed=replay.replay_since(endpoint, since, who=who)))
    job = replay.replay_one(endpoint, order.job_id, who=who)
    if job is None:
        raise Problem("not-found")
    if job.status not in (JobStatus.ENQUEUED, JobStatus.FAILED):
        raise Problem("not-failed")
    return Status(202, Replayed(replayed=1))
