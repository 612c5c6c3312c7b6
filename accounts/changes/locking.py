"""One change of an account at a time, and none by a request that a dispute or another change has overtaken."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.contrib.auth import logout
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from accounts.sign_in.sessions import Session
from accounts.user import User

CHANGING = ("/accounts/", "/admin/")
LINKS = tuple(f"/accounts/{page}/" for page in ("not-me", "cancel", "unsubscribe", "lost-factor"))
"""Pages of links that act for an address, whatever session the browser has."""
ASKING = ("/admin/first-use/", "/admin/jobs/alertstate/test/")
"""Pages that change no account and wait for servers elsewhere: no report of a stranger waits for them."""


class Stale(Exception):
    """The account, or the session, is no longer what it was when the request arrived."""


@contextmanager
def lock_account(user: User, *, epoch: int | None = None) -> Iterator[User]:
    """Lock the row of an account for the transaction. Raise Stale when its epoch is not `epoch`, or the user's."""
    with transaction.atomic():
        row = User.objects.select_for_update(no_key=True).filter(pk=user.pk).first()
        if row is None or row.epoch != (user.epoch if epoch is None else epoch):
            raise Stale
        yield row


@contextmanager
def lock_session(request: HttpRequest) -> Iterator[None]:
    """Lock the account of the request's user. Raise Stale when the session has ended, or the account changed."""
    assert isinstance(request.user, User)  # noqa: S101  (the callers check it)
    with lock_account(request.user):
        if not Session.objects.filter(pk=request.session.session_key, user_id=request.user.pk).exists():
            raise Stale
        yield


def one_change_at_a_time(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Run a signed-in user's POST as one transaction under a lock on the account (middleware)."""

    def respond(request: HttpRequest) -> HttpResponse:
        path = request.path_info
        changes = request.method == "POST" and path.startswith(CHANGING) and not path.startswith(LINKS + ASKING)
        if not changes or not request.user.is_authenticated:
            return get_response(request)
        try:
            with lock_session(request):
                response = get_response(request)
                if response.status_code >= 500:
                    transaction.set_rollback(True)
                return response
        except Stale:
            logout(request)
            return redirect("account_login")

    return respond
