"""Second factors for the tests: an authenticator app, its codes, recovery codes."""

import re
import time

from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.http import HttpResponse
from django.test import Client

from tests.support.people import PASSWORD

steps: dict[str, int] = {}
"""The step that was the present one when a code of a secret was first asked for."""
ADD_APP, SECOND_STEP = "/accounts/2fa/totp/activate/", "/accounts/2fa/authenticate/"
CODES = "/accounts/2fa/recovery-codes/"


def code(secret: str, later: int = 0) -> str:
    """The code that an app with this secret shows, now or some steps of 30 seconds later.

    A step that ends in the middle of a test still counts as the present one, as it does for the site.
    """
    now = int(time.time()) // 30
    if now - steps.setdefault(secret, now) > 1:
        steps[secret] = now
    return format_hotp_value(hotp_value(secret, steps[secret] + later))


def confirm(client: Client, password: str = PASSWORD) -> HttpResponse:
    """Gives the password again, as a change of the account asks for it."""
    return client.post("/accounts/reauthenticate/", {"password": password})


def add_app(client: Client) -> str:
    """Adds an authenticator app and returns its secret."""
    confirm(client)
    secret = read_secret(client.get(ADD_APP))
    answer = client.post(ADD_APP, {"code": code(secret)})
    assert answer.status_code == 302, answer.content.decode()
    return secret


def read_secret(page: HttpResponse) -> str:
    """The key on the page of an app."""
    found = re.search(r'<code class="secret">([A-Z2-7=]+)</code>', page.content.decode())
    assert found, page.content.decode()[:3000]
    return found[1]


def enter_code(client: Client, given: str) -> HttpResponse:
    """The second step of a sign-in."""
    return client.post(SECOND_STEP, {"code": given})


def recovery_codes(client: Client) -> list[str]:
    """The codes on the page of recovery codes."""
    return re.findall(r"<li><code>(\d+)</code></li>", client.get(CODES).content.decode())
