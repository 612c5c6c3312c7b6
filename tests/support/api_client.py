"""What tests of the API have in common: keys, and a notification that is right in every field."""

from typing import Any

from accounts.sites.keys import ApiKey
from tests.support.hostile_bodies import notification

__all__ = ["PATH", "key", "notification", "post"]

PATH = "/api/jobs/signin-notification"


def key(*scopes: str, name: str = "shop", **options: Any) -> str:
    """A new key, as its owner has it."""
    return ApiKey.objects.make(name, scopes or ("enqueue", "read", "admin"), who="tests", **options)


def post(client: Any, body: Any, token: str, path: str = PATH, **headers: Any) -> Any:
    """The answer of Django's test client."""
    return client.post(
        path, body, content_type="application/json", headers={"Authorization": f"Bearer {token}", **headers}
    )
