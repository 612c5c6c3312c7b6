"""The channels that carry alerts to operators, registered by the apps that implement them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from jobs.alerts.rules import Rule
from jobs.alerts.states import AlertNotice


class NotSent(Exception):
    """A channel did not take an alert. The text says why, without addresses."""


@dataclass(frozen=True)
class Alert:
    """What a channel sends."""

    rule: Rule | None
    """None for a test."""
    notice: AlertNotice
    since: datetime
    """When the rule began to fire; of a test, now."""
    at: datetime
    subject: str = ""

    @property
    def id(self) -> str:
        """The id of the notice, equal for every attempt to send it."""
        name = self.rule.name if self.rule else "test"
        return f"alert-{name}-{self.notice}-{self.at:%Y%m%dT%H%M%S}"


class Channel(Protocol):
    """One way to one receiver."""

    @property
    def name(self) -> str:
        """Short, stored and logged; no address."""

    @property
    def label(self) -> str:
        """For operators; no full address."""

    def send(self, alert: Alert) -> None:
        """Send an alert within a bounded time, without the database. Raise NotSent."""


_factories: list[Callable[[], Sequence[Channel]]] = []
_pings: list[tuple[Callable[[], None], Callable[[], bool]]] = []


def register_channels(factory: Callable[[], Sequence[Channel]]) -> None:
    """Add a function that returns the channels that the settings name."""
    _factories.append(factory)


def register_ping(ping: Callable[[], None], is_on: Callable[[], bool]) -> None:
    """Add a function that reports to an outside monitor that all is well. It may raise NotSent."""
    _pings.append((ping, is_on))


def configured() -> list[Channel]:
    """Return the channels of the settings."""
    return [channel for factory in _factories for channel in factory()]


def any_configured() -> bool:
    """Return whether the settings name a channel or an outside monitor."""
    return bool(configured()) or any(is_on() for _, is_on in _pings)


def find(name: str) -> Channel | None:
    """Return a channel of the settings by its name; None when they have no such channel."""
    return next((channel for channel in configured() if channel.name == name), None)


def ping() -> None:
    """Report to every outside monitor that all is well. Raise NotSent."""
    for ping_one, is_on in _pings:
        if is_on():
            ping_one()
