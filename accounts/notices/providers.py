"""The return of mail providers that were out of use, by their probes, and the probe of every type that sends email."""

import structlog
from django.db import models
from django.db.models.functions import Now

from accounts.mail import smtp
from accounts.mail.providers.configured import Provider, configured
from jobs.core import pauses
from jobs.core.errors import Throttled
from jobs.maintenance import reconciler

log = structlog.get_logger("accounts")


def probe() -> None:
    """Ask the providers whether one of them would take an email. Raise the first one's error when none would.

    A provider whose quota is used up is not asked before its time: only an email would show that.
    """
    providers = configured()
    held = _held() if len(providers) > 1 else set()
    errors: list[Exception] = []
    for provider in providers:
        if provider.name in held:
            continue
        try:
            smtp.probe_server(provider)
        except Exception as exc:  # a probe may raise anything
            errors.append(exc)
            continue
        if len(providers) > 1:
            pauses.close_provider(provider.name)
        return
    raise errors[0] if errors else Throttled("the quota of every mail provider is used up", slow=True)


def due() -> models.QuerySet[pauses.ProviderState]:
    """Return the providers that are out of use."""
    return pauses.open_providers().order_by("provider")


def bring_back() -> None:
    """Probe the providers that are out of use, and use those again whose probe succeeds.

    The jobs that died of the same refusal before it was seen to be the provider's are replayed.
    """
    by_name = {provider.name: provider for provider in configured()}
    held = _held()
    for state in due():
        reconciler.replay_first_refused(state)
        if state.provider not in by_name:
            state.delete()
        elif state.provider not in held and _accepts(by_name[state.provider]):
            pauses.close_provider(state.provider)


def _held() -> set[str]:
    return set(pauses.open_providers().filter(probe_at__gt=Now()).values_list("provider", flat=True))


def _accepts(provider: Provider) -> bool:
    try:
        smtp.probe_server(provider)
    except Exception as exc:  # a probe may raise anything
        log.info("probe failed", provider=provider.name, error=type(exc.__cause__ or exc).__name__)
        return False
    return True
