"""Mail services by django-anymail: which there are, what each needs to send, and to have its webhook believed.

Used by settings.py alone. A webhook that nobody can sign is not opened: the site does not start.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec

BACKENDS = "anymail.backends."
INSTALL = "pip install --require-hashes -r requirements-{}.txt"


@dataclass(frozen=True)
class Service:
    """sends_with: what must be set to send by it. proof: what its webhooks must bring. boto3: whether it needs that."""

    sends_with: tuple[str, ...] = ()
    proof: str = "WEBHOOK_SECRET"
    boto3: bool = False


SERVICES = {
    "amazon_ses": Service(boto3=True),  # its credentials are AWS_*, which boto3 reads itself
    "brevo": Service(sends_with=("BREVO_API_KEY",)),
    "mailgun": Service(sends_with=("MAILGUN_API_KEY",), proof="MAILGUN_WEBHOOK_SIGNING_KEY"),
    "postmark": Service(sends_with=("POSTMARK_SERVER_TOKEN",)),
}


def faults(backend: str, webhooks: list[str], given: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """(setting, what is wrong) for what does not fit together. given: settings by name, without ANYMAIL_."""
    if backend.startswith(BACKENDS):
        name = backend.removeprefix(BACKENDS).partition(".")[0]
        yield from _missing("EMAIL_BACKEND", backend, name)
        for key in SERVICES[name].sends_with if name in SERVICES else ():
            if not given[key]:
                yield f"ANYMAIL_{key}", f"EMAIL_BACKEND={backend} needs it"
    for name in webhooks:
        yield from _missing("ANYMAIL_WEBHOOKS", name, name)
        if name in SERVICES and not given[SERVICES[name].proof]:
            yield f"ANYMAIL_{SERVICES[name].proof}", f"ANYMAIL_WEBHOOKS={name} needs it: anybody could post otherwise"


def _missing(setting: str, value: str, name: str) -> Iterator[tuple[str, str]]:
    """A service there is none of, or a package of it that is not installed."""
    if name not in SERVICES:
        yield setting, f"{value!r} is none of {', '.join(SERVICES)}; others take mail by SMTP"
    elif find_spec("anymail") is None:
        yield setting, f"{value} needs django-anymail: {INSTALL.format('anymail')}"
    elif SERVICES[name].boto3 and find_spec("boto3") is None:
        yield setting, f"{value} needs boto3: {INSTALL.format('sqs')}"
