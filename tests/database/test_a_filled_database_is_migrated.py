"""The migrations since version 0.9.0 keep what a filled database holds."""

import uuid

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from accounts.credentials import Credential
from accounts.sign_in import disputes
from accounts.sign_in.event import SignIn
from accounts.user import User

BASE = [("accounts", "0001_initial")]


@pytest.fixture
def base(transactional_db):
    """The models of version 0.9.0; the tables are those of today again afterwards."""
    executor = MigrationExecutor(connection)
    executor.migrate(BASE)
    yield executor.loader.project_state(BASE).apps
    call_command("migrate", verbosity=0)


def test_links_that_were_void_stay_void_and_others_stay_open(base):
    at = timezone.now()
    user = base.get_model("accounts", "User").objects.create(username="bat", email="bat@example.mn")
    base.get_model("accounts", "Credential").objects.create(user=user, address=user.email, since=user.date_joined)
    made = {"user": user, "at": at, "email": user.email, "method": "password", "language": "mn", "time_zone": "UTC"}
    sign_ins = base.get_model("accounts", "SignIn").objects
    ids = {name: uuid.uuid4() for name in ("open", "voided", "disputed")}
    sign_ins.create(id=ids["open"], **made)
    sign_ins.create(id=ids["voided"], voided_at=at, **made)
    sign_ins.create(id=ids["disputed"], disputed_at=at, **made)
    call_command("migrate", verbosity=0)
    assert {name: disputes.is_open(SignIn.objects.get(pk=pk)) for name, pk in ids.items()} == {
        "open": True,
        "voided": False,
        "disputed": False,
    }
    entry = Credential.objects.get()
    assert (entry.kind, entry.state, entry.sealed, entry.backing) == ("address", "current", {}, "none")
    assert (User.objects.get().epoch, User.objects.get().suspended_rights) == (0, [])
