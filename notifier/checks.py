"""System checks of the site's settings."""

from collections.abc import Sequence
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import connections, router

from accounts.previews import faults
from jobs.core.sql import engines
from notifier.environment import unsupported
from notifier.ops import static_files

ENGINES = ("notifier.web.postgresql", "django.db.backends.sqlite3")
UNSHARED = ("LocMemCache", "DummyCache")
CREATE_DATABASE = "createdb --encoding UTF8 --template template0 --owner notifier notifier"


@register(Tags.security, deploy=True)
def check_trusted_proxies(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """Warn (W001) about an https site without TRUSTED_PROXIES: it would record its proxy's address for every user."""
    if settings.SITE_URL.startswith("https://") and not settings.TRUSTED_PROXIES:
        return [
            Warning(
                "TRUSTED_PROXIES is empty: behind a proxy, every sign-in would show the proxy's address.",
                hint="Set it to the networks of your proxies, TRUSTED_PROXIES=10.0.0.0/8 or unix, then open "
                f"{settings.SITE_URL}/admin/address/ . Without a proxy, leave it empty.",
                id="notifier.W001",
            )
        ]
    return []


@register(Tags.security)
def check_middleware_order(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """Warn (W002) when another middleware runs before the proxy middleware: it would see another address."""
    if settings.MIDDLEWARE[:1] != ["notifier.middleware.trusted_proxies"]:
        return [
            Warning(
                "notifier.middleware.trusted_proxies is not the first middleware.",
                hint='Make "notifier.middleware.trusted_proxies" the first entry of MIDDLEWARE.',
                id="notifier.W002",
            )
        ]
    return []


@register(Tags.database)
def check_encoding(databases: Sequence[str] | None, **_: Any) -> list[CheckMessage]:
    """Check that PostgreSQL stores UTF-8 (E003); with `check --database default`, and before each `migrate`.

    In a database in SQL_ASCII, the default of a server without a locale, every name that is not ASCII is refused.
    """
    found = {alias: engines.encoding(connections[alias]) for alias in databases or []}
    wrong = {alias: encoding for alias, encoding in found.items() if encoding != "UTF8"}
    return [
        Error(
            f"The encoding of the database {alias!r} is {encoding}: it must be UTF8.",
            hint=f"Create a new database: {CREATE_DATABASE}",
            id="notifier.E003",
        )
        for alias, encoding in wrong.items()
    ]


@register(Tags.compatibility)
def check_unsupported(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """Refuse (E004) settings that the environment cannot set, and that code added to settings.py may."""
    routed = [
        model._meta.label
        for model in apps.get_models()
        if {router.db_for_read(model), router.db_for_write(model)} != {"default"}
    ]
    faults = {
        "FORCE_SCRIPT_NAME": settings.FORCE_SCRIPT_NAME and unsupported.SUB_PATH,
        "USE_TZ": not settings.USE_TZ and unsupported.NO_TIME_ZONES,
        "ASGI_APPLICATION": getattr(settings, "ASGI_APPLICATION", None)
        and "is not supported: gunicorn serves the site",
        "DATABASES": settings.DATABASES["default"]["ENGINE"] not in ENGINES
        and "only PostgreSQL and SQLite are supported",
        "DATABASE_ROUTERS": routed
        and f"must keep every model in the database 'default', not so: {', '.join(routed[:3])}",
    }
    return [Error(f"{name} {why}.", id="notifier.E004") for name, why in faults.items() if why]


@register(Tags.staticfiles, deploy=True)
def check_static_files(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """Warn (W003) when static files are not collected, or a volume over VAR_DIR hides them."""
    missing = static_files.count_missing()
    if not missing:
        return []
    return [
        Warning(
            f"{static_files.describe_missing(missing)}.",
            hint="Run manage.py collectstatic with the same VAR_DIR, then restart the site. A volume that is mounted "
            "over VAR_DIR hides what the image holds there.",
            id="notifier.W003",
        )
    ]


@register(Tags.caches, deploy=True)
def check_shared_cache(app_configs: Any = None, **_: Any) -> list[CheckMessage]:
    """Warn (W004) about a cache of one process: limits that each counts for itself let too many requests through."""
    backend = settings.CACHES["default"]["BACKEND"].rpartition(".")[2]
    if backend not in UNSHARED:
        return []
    return [
        Warning(
            f"The default cache ({backend}) is not shared: each web process counts request limits for itself.",
            hint="Set REDIS_URL, or leave the database cache of settings.py in place.",
            id="notifier.W004",
        )
    ]


@register(Tags.templates)
def check_emails(app_configs: Any = None, **_: Any) -> list[CheckMessage]:
    """Make every email (E005) with the templates of MAIL_TEMPLATES_DIR and the catalogues of LOCALE_DIR, if any."""
    if not (settings.MAIL_TEMPLATES_DIR or settings.LOCALE_DIR):
        return []
    return [
        Error(
            f"{fault}{f' in {names[0]}' if names[0] else ''}{f' and {len(names) - 1} more' if names[1:] else ''}.",
            hint="Correct the file in MAIL_TEMPLATES_DIR or LOCALE_DIR, or unset it (docs/languages.md).",
            id="notifier.E005",
        )
        for fault, names in faults.find_faults().items()
    ]
