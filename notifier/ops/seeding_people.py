"""Invented accounts by the hundred thousand, each with an address and a sign-in, to try the operators' pages."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta

from allauth.account.models import EmailAddress

from accounts.sign_in.event import NoticeStatus, SignIn
from accounts.user import User

CHUNK_ROWS = 10_000
UNUSABLE = "!"
FIRST_NAMES = ("Бат", "Сараа", "Дорж", "Туяа", "Болд", "Номин", "Ganbold", "Anna", "Тэмүүлэн", "Оюун")
LAST_NAMES = ("Болд", "Ганбат", "Батбаяр", "Мөнх", "Эрдэнэ", "Dorj", "Smith", "Цэрэн", "Пүрэв", "Сүх")
DAYS = 30


def load(count: int, now: datetime) -> None:
    """Write `count` accounts with unusable passwords."""
    for start in range(0, count, CHUNK_ROWS):
        users = User.objects.bulk_create(_users(range(start, min(start + CHUNK_ROWS, count)), now))
        EmailAddress.objects.bulk_create(
            EmailAddress(user=user, email=user.email, verified=True, primary=True) for user in users
        )
        SignIn.objects.bulk_create(_sign_ins(users, now))


def _users(numbers: range, now: datetime) -> Iterator[User]:
    run = f"{now:%y%m%d%H%M%S}"  # a second run makes other accounts
    for number in numbers:
        name = f"seed-{run}-{number}"
        first, last = FIRST_NAMES[number % 10], LAST_NAMES[number // 10 % 10]
        yield User(username=name, email=f"{name}@example.com", first_name=first, last_name=last, password=UNUSABLE)


def _sign_ins(users: list[User], now: datetime) -> Iterator[SignIn]:
    chance = random.Random(len(users))  # noqa: S311  (not for security)
    for user in users:
        yield SignIn(
            user=user,
            at=now - timedelta(seconds=chance.randrange(DAYS * 86_400)),
            method=SignIn.Method.PASSWORD,
            ip=f"203.0.113.{chance.randrange(256)}",
            browser="Chrome",
            system="Windows",
            language="mn",
            time_zone="Asia/Ulaanbaatar",
            email=user.email,
            notice=NoticeStatus.LIMITED,
        )
