"""The demo accounts: a user and an operator."""

import secrets
from dataclasses import dataclass

from accounts.user import User

ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # without letters and digits that look alike


@dataclass(frozen=True)
class Demo:
    """One demo account."""

    username: str
    email: str
    first_name: str
    last_name: str
    operator: bool


ACCOUNTS = [
    Demo("demo", "demo@example.mn", "Сараа", "Болд", operator=False),
    Demo("operator", "operator@example.mn", "Тэмүүлэн", "Ганбат", operator=True),
]


def create_missing(*, new_passwords: bool = False) -> dict[str, str]:
    """Create the demo accounts that are missing, and return the new passwords by user name.

    With `new_passwords`, existing demo accounts get new passwords too.
    """
    passwords = {}
    for demo in ACCOUNTS:
        user = User.objects.filter(username=demo.username).first()
        if user is None or new_passwords:
            passwords[demo.username] = random_password()
            _save(user or User(username=demo.username), demo, passwords[demo.username])
    return passwords


def describe(passwords: dict[str, str]) -> list[str]:
    """Return a line for each demo account: its role, user name and, once, its new password."""
    lines = []
    for demo in ACCOUNTS:
        role = "operator" if demo.operator else "user"
        password = passwords.get(demo.username)
        state = f"password {password}   (shown only once)" if password else "created earlier"
        lines.append(f"{role:<9} user name {demo.username:<9} {state}")
    if len(passwords) < len(ACCOUNTS):
        lines.append("Passwords forgotten? `make demo` sets new ones.")
    return lines


def random_password() -> str:
    """Return twelve random letters and digits in three groups: easy to type, 59 bits."""
    return "-".join("".join(secrets.choice(ALPHABET) for _ in range(4)) for _ in range(3))


def _save(user: User, demo: Demo, password: str) -> None:
    user.email, user.first_name, user.last_name = demo.email, demo.first_name, demo.last_name
    user.is_staff = user.is_superuser = demo.operator
    user.is_active = True
    user.set_password(password)
    user.save()
