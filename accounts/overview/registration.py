"""What this app adds to the operators' pages of the queue."""

from accounts.overview import domains, providers, users
from jobs.admin.panels import names, registry
from jobs.admin.panels.registry import Panel, Place


def register_panels() -> None:
    """Register the panels about mail providers and receiving domains, and the names of users."""
    registry.register(
        Panel((Place.NUMBERS, Place.SENDING), "admin/accounts/panels/providers.html", providers.load),
        Panel((Place.NUMBERS,), "admin/accounts/panels/domains.html", domains.load),
    )
    names.register(users.find)
