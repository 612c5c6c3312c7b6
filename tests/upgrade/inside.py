"""What the upgrade test does inside of a version: a program that uses only what every version since 0.9.0 has.

    python inside.py '[["create", "bat"], ["sign_in", "bat"]]'

with PYTHONPATH=the version's folder. Prints "RESULT " and the results of the verbs as a list, in JSON.
"""

import json
import os
import sys
from datetime import UTC, datetime
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "notifier.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.contrib.auth import get_user_model  # noqa: E402
from django.db import connection, transaction  # noqa: E402
from django.test import Client  # noqa: E402

PASSWORD = "seven-Steppe-horses"
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


def browser() -> Client:
    """Return a browser at SITE_URL."""
    return Client(headers={"user-agent": BROWSER, "host": settings.SITE_URL.partition("//")[2]})


def create(name: str) -> int:
    """Create a user; return its key."""
    return get_user_model().objects.create_user(name, f"{name}@example.mn", PASSWORD).pk


def sign_in(name: str, device: str = "") -> dict[str, str]:
    """Sign a user in, from a new browser or from the one with this device cookie; return the cookies of the browser."""
    client = browser()
    if device:
        client.cookies[settings.DEVICE_COOKIE_NAME] = device
    page = client.post("/accounts/login/", {"login": name, "password": PASSWORD})
    assert page.status_code == 302, page.content.decode()
    return {cookie: morsel.value for cookie, morsel in client.cookies.items()}


def ask_for_a_reset(name: str) -> int:
    """Ask for an email with a link that sets a new password; return the status of the page."""
    return browser().post("/accounts/password/reset/", {"email": f"{name}@example.mn"}).status_code


def post(key: str, job_id: str) -> int:
    """Report a sign-in of another site's user, whose address is the job id; return the status of the answer."""
    notice = {
        "userId": job_id,
        "email": f"{job_id}@example.mn",
        "name": "Bat",
        "provider": "password",
        "ipAddress": "203.0.113.7",
        "userAgent": BROWSER,
        "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
        "jobId": job_id,
    }
    headers = {"authorization": f"Bearer {key}"}
    return browser().post("/api/jobs/signin-notification", notice, "application/json", headers=headers).status_code


def lose_message() -> int:
    """Delete the newest message of the queue; return how many were deleted."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_q_ormq WHERE id = (SELECT max(id) FROM django_q_ormq)")
        return cursor.rowcount


def rows() -> dict[str, list[dict[str, str]]]:
    """Return every row of every table, its values as texts."""
    found = {}
    with transaction.atomic(), connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            names = [column[0] for column in cursor.description]
            found[table] = [dict(zip(names, map(str, row), strict=True)) for row in cursor.fetchall()]
    return found


VERBS: dict[str, Any] = {verb.__name__: verb for verb in (create, sign_in, ask_for_a_reset, post, lose_message, rows)}

if __name__ == "__main__":
    results = [VERBS[verb](*arguments) for verb, *arguments in json.loads(sys.argv[1])]
    sys.stdout.write("\nRESULT " + json.dumps(results) + "\n")
