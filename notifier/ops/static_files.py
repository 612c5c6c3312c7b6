"""The collected static files: without them, pages have no styles and no scripts."""

from functools import cache
from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.contrib.staticfiles.finders import get_finders


def count_missing() -> int:
    """Return how many static files are not in STATIC_ROOT. 0 with DEBUG, which serves them where they are."""
    return 0 if settings.DEBUG else _count_missing(str(settings.STATIC_ROOT))


@cache
def _count_missing(root: str) -> int:
    """Count once in a process: WhiteNoise, too, looks at the folder only when the process starts."""
    ignored: list[str] = getattr(apps.get_app_config("staticfiles"), "ignore_patterns", [])
    names = {name for finder in get_finders() for name, _storage in finder.list(ignored)}
    return sum(not Path(root, name).is_file() for name in names)


def describe_missing(count: int) -> str:
    """Return what is wrong when `count` files are missing."""
    return f"{count} static files are missing in {settings.STATIC_ROOT}: pages have no styles"
