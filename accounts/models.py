"""Every model of this app."""

from accounts.credentials import Credential
from accounts.events.delivery import EventDelivery
from accounts.events.endpoint import EventEndpoint
from accounts.notices.digest import DigestEntry
from accounts.pending.request import PendingRequest
from accounts.sign_in.event import AccountChange, SignIn
from accounts.sign_in.known_devices import Device
from accounts.sign_in.sessions import Session
from accounts.sites.api_calls import ApiCall
from accounts.sites.api_requests import ApiRequest
from accounts.sites.keys import ApiKey
from accounts.sites.site import Site
from accounts.suppression.entries import SuppressedAddress
from accounts.suppression.opt_out import RoutineOptOut
from accounts.user import User

__all__ = [
    "AccountChange",
    "ApiCall",
    "ApiKey",
    "ApiRequest",
    "Credential",
    "Device",
    "DigestEntry",
    "EventDelivery",
    "EventEndpoint",
    "PendingRequest",
    "RoutineOptOut",
    "Session",
    "SignIn",
    "Site",
    "SuppressedAddress",
    "User",
]
