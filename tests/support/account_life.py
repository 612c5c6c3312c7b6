"""The account of a state machine: what its actors can do, through the same functions as the pages."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from allauth.account.models import EmailAddress
from allauth.core import context
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import AnonymousUser
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from accounts import credentials
from accounts.changes import inside, locking, record, recovery
from accounts.credentials import Circumstances, Credential
from accounts.notices.digest import DigestEntry
from accounts.sign_in import sessions
from accounts.sign_in.event import AccountChange, NoticeStatus, SignIn
from accounts.user import User
from jobs.core.job import JobLog

State, Kind, Backing = Credential.State, Credential.Kind, Credential.Backing
FACTOR = "fake"  # a kind of factor that no app owns


class Session(dict):
    """A session of one actor; its row names the sign-in that began it."""

    def __init__(self, sign_in: UUID | None) -> None:
        super().__init__()
        self.session_key = sign_in.hex if sign_in else "none"

    def cycle_key(self) -> None:
        pass


class Account:
    """One account, its mailboxes and its factors; `number` makes its addresses unique."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.factors: dict[str, str] = {}
        self.user = User.objects.create_user(f"machine-{number}", self.address("own"), "a-password-of-hers")
        EmailAddress.objects.create(user=self.user, email=self.address("own"), verified=True, primary=True)
        self.enrol("hers")
        self.ages: dict[int, Any] = {}
        self.shift(timedelta(days=30))

    def address(self, mailbox: str) -> str:
        return f"{mailbox}-{self.number}@example.mn"

    def fresh(self) -> User:
        """Return the account as it is stored."""
        return User.objects.get(pk=self.user.pk)

    def rows(self) -> Any:
        return Credential.objects.filter(user=self.user)

    def has(self, mailbox: str) -> bool:
        return EmailAddress.objects.filter(user=self.user, email=self.address(mailbox)).exists()

    def shift(self, by: timedelta) -> None:
        """Let time pass: everything that is written down becomes older."""
        self.rows().update(since=F("since") - by, removed_at=F("removed_at") - by)
        for events in (SignIn, AccountChange):
            mine = events.objects.filter(user=self.user)
            mine.update(at=F("at") - by, closed_since=F("closed_since") - by)
        JobLog.objects.filter(user_id=str(self.user.pk)).update(created_at=F("created_at") - by)
        DigestEntry.objects.filter(user=self.user).update(due_at=F("due_at") - by)
        self.ages = {pk: since - by for pk, since in self.ages.items()}

    @contextmanager
    def session_of(self, sign_in: UUID | None, backing: str = Backing.NONE) -> Iterator[SimpleNamespace]:
        """Act in a session, with that proof."""
        request = SimpleNamespace(
            session=Session(sign_in), user=AnonymousUser(), path="/", made=Circumstances(sign_in, Backing(backing))
        )
        with context.request_context(request):
            yield request

    def arrive(self, sign_in: UUID) -> SimpleNamespace:
        """Return a request of a session that is not served yet: its user is loaded, as the middleware does it."""
        made = Circumstances(sign_in, Backing.NONE)
        return SimpleNamespace(session=Session(sign_in), user=self.fresh(), path="/", made=made)

    @contextmanager
    def serve(self, request: SimpleNamespace) -> Iterator[None]:
        """Serve a request that has arrived, as the middleware does. Raise Stale when something has overtaken it."""
        with context.request_context(request), locking.lock_session(request):
            yield

    def sign_in(self, *, vouched: bool, github: str = "") -> UUID:
        """Sign in with the password, or with the GitHub account of that name; return the sign-in."""
        user = self.fresh()
        made = SignIn.objects.create(
            user=user,
            email=user.email,
            vouched=vouched,
            browser="Chrome" if vouched else "Firefox",
            language="mn",
            time_zone="UTC",
            notice=NoticeStatus.QUEUED,
            method="github" if github else "password",
            made_with=self.github(github) if github else "",
            at=Now(),
        )
        ends = timezone.now() + timedelta(days=14)
        sessions.Session.objects.create(
            session_key=made.pk.hex, user_id=user.pk, sign_in=made.pk, session_data="", expire_date=ends
        )
        return made.pk

    def add(self, mailbox: str) -> None:
        if not self.has(mailbox):
            row = EmailAddress.objects.create(user=self.fresh(), email=self.address(mailbox), verified=True)
            record.address_confirmed(None, row)

    def make_primary(self, mailbox: str) -> None:
        row = EmailAddress.objects.get(user=self.fresh(), email=self.address(mailbox))
        row.set_as_primary()
        record.primary_changed(None, self.fresh(), row)

    def remove(self, mailbox: str) -> bool:
        """Remove an address, unless it is the last one."""
        rows = EmailAddress.objects.filter(user=self.user)
        if rows.count() < 2 or not self.has(mailbox):
            return False
        row = rows.get(email=self.address(mailbox))
        row.delete()
        if not rows.filter(primary=True).exists():
            rows.order_by("pk").first().set_as_primary()
        record.address_removed(None, self.fresh(), row)
        return True

    def set_password(self, password: str) -> None:
        """Set a password; every other session ends."""
        user = self.fresh()
        user.set_password(password)
        user.save()
        record.password_changed(context.request, user)

    def rename(self, **values: Any) -> None:
        user = self.fresh()
        before = credentials.read_profile(user)
        User.objects.filter(pk=user.pk).update(**values)
        record.profile_changed(user, before, None)

    def github(self, whose: str) -> str:
        """Return the number of a GitHub account there."""
        return f"{whose}-{self.number}"

    def is_connected(self, whose: str) -> bool:
        return SocialAccount.objects.filter(user=self.user, provider="github", uid=self.github(whose)).exists()

    def connect(self, whose: str) -> None:
        if not self.is_connected(whose):
            SocialAccount.objects.create(user=self.fresh(), provider="github", uid=self.github(whose))

    def disconnect(self, whose: str) -> None:
        for row in SocialAccount.objects.filter(user=self.user, uid=self.github(whose)):
            row.delete()

    def enrol(self, reference: str) -> None:
        if reference not in self.factors:
            self.factors[reference] = reference
            credentials.factor_added(self.fresh(), FACTOR, reference)

    def drop(self, reference: str) -> None:
        if reference in self.factors:
            credentials.factor_removed(self.fresh(), FACTOR, reference, {"secret": self.factors.pop(reference)})

    def hold(self, _user: User, reference: str) -> dict[str, str]:
        return {"secret": self.factors.pop(reference)}

    def restore(self, _user: User, reference: str, sealed: dict[str, str]) -> bool:
        self.factors[reference] = sealed["secret"]
        return True

    def reset(self, token: str, password: str) -> bool:
        """Use a reset link; False when it does nothing."""
        user = self.fresh()
        if not credentials.ResetTokenGenerator().check_token(user, token):
            return False
        user.set_password(password)
        user.save()
        with self.session_of(None) as request:
            recovery.password_reset(request, user)
        return True

    def report_from_inside(self, own: UUID, stranger: UUID, password: str) -> None:
        with self.session_of(own) as request:
            request.session[sessions.SESSION_SIGN_IN] = str(own)
            inside.put_stranger_out(request, self.fresh(), SignIn.objects.get(pk=stranger), password)

    def state(self) -> list[Any]:
        """Return everything that signs a user in or recovers the account, and the profile."""
        user = self.fresh()
        rows = self.rows().filter(state=State.CURRENT).order_by("pk").values_list("kind", "address", "reference")
        addresses = EmailAddress.objects.filter(user=user).order_by("email").values_list("email", flat=True)
        profile = (user.first_name, user.language, user.notify_sign_ins)
        return [user.email, user.password, user.epoch, profile, list(rows), list(addresses), sorted(self.factors)]

    def power(self) -> set[str]:
        """Return the addresses whose links may act."""
        credentials.close_expired(self.user.pk)
        rows = self.rows().filter(kind=Kind.ADDRESS).order_by("pk")
        newest = {row.address: row for row in rows}
        return {address for address, row in newest.items() if row.has_power}
