"""A client for Notifier: report sign-ins, and verify the events that come back."""

from notifier_client.client import Notifier
from notifier_client.events import (
    DisputedSignIn,
    Event,
    InvalidEvent,
    NoticeDelivered,
    NoticeFailed,
    NoticeSuppressed,
    Ping,
    SignInDisputed,
    UnknownEvent,
    verify_event,
)
from notifier_client.results import Accepted, Duplicate, FieldError, Problem, Refused, Result, Unreachable
from notifier_client.sign_in import SignIn

__version__ = "1.0.0"

__all__ = [
    "Accepted",
    "DisputedSignIn",
    "Duplicate",
    "Event",
    "FieldError",
    "InvalidEvent",
    "NoticeDelivered",
    "NoticeFailed",
    "NoticeSuppressed",
    "Notifier",
    "Ping",
    "Problem",
    "Refused",
    "Result",
    "SignIn",
    "SignInDisputed",
    "UnknownEvent",
    "Unreachable",
    "verify_event",
]
