"""The floors of `make bench-api`: views of django-ninja without keys, limits, log lines or sessions."""

from typing import Any

from django.db import transaction
from django.urls import path
from django_q.tasks import async_task
from ninja import NinjaAPI, Schema, Status

from benchmarks import ledger
from benchmarks.peers.django_q import TASK

api = NinjaAPI(openapi_url=None)


class SignIn(Schema):
    """A sign-in, whose fields are only parsed."""

    userId: str  # noqa: N815  (the field of the API)
    email: str
    name: str
    provider: str
    ipAddress: str  # noqa: N815
    userAgent: str  # noqa: N815
    timestamp: str


@api.post("/row", response={202: dict[str, Any]})
def insert_row(request: Any, sign_in: SignIn) -> Any:
    """Insert one row."""
    return Status(202, {"jobId": ledger.accepted(sign_in.userId, sign_in.dict())})


@api.post("/task", response={202: dict[str, Any]})
def enqueue_task(request: Any, sign_in: SignIn) -> Any:
    """Insert the row of the ledger and a message of django-q2, as benchmarks/peers/django_q.py does."""
    payload = sign_in.dict()
    with transaction.atomic():
        key = ledger.accepted(sign_in.userId, payload)
        async_task(TASK, key, sign_in.userId, payload)
    return Status(202, {"jobId": key})


@api.get("/healthz")
def alive(request: Any) -> dict[str, Any]:
    """Answer that the program runs; notifier/wsgi.py resolves this path."""
    return {}


urlpatterns = [path("", api.urls)]
