"""The demo accounts: a person who signs in, and an operator."""

import secrets
from dataclasses import dataclass

from accounts.models import User

ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # without what looks alike


@dataclass(frozen=True)
class Demo:
    username: str
    email: str
    first_name: str
    last_name: str
    operator: bool


ACCOUNTS = [
    Demo("demo", "demo@example.mn", "Сараа", "Болд", operator=False),
    Demo("operator", "operator@example.mn", "Тэмүүлэн", "Ганбат", operator=True),
]


def ensure(*, new_passwords: bool = False) -> dict[str, str]:
    """Makes the demo accounts that are missing; the passwords it gave, by user name.

    new_passwords: the accounts that are there get one, too.
    """
    given = {}
    for demo in ACCOUNTS:
        user = User.objects.filter(username=demo.username).first()
        if user is None or new_passwords:
            given[demo.username] = password()
            _save(user or User(username=demo.username), demo, given[demo.username])
    return given


def password() -> str:
    """Twelve random letters and digits in three groups: easy to type, 59 bits."""
    return "-".join("".join(secrets.choice(ALPHABET) for _ in range(4)) for _ in range(3))


def _save(user: User, demo: Demo, chosen: str) -> None:
    user.email, user.first_name, user.last_name = demo.email, demo.first_name, demo.last_name
    user.is_staff = user.is_superuser = demo.operator
    user.is_active = True
    user.set_password(chosen)
    user.save()
