"""The epoch of an account: links, checks and requests of an older epoch are void."""

from allauth.account.models import EmailAddress
from django.db.models import F

from accounts.user import User


def end_epoch(user: User) -> None:
    """Make the reset links, confirmation links, fresh checks and requests of the present epoch void."""
    User.objects.filter(pk=user.pk).update(epoch=F("epoch") + 1)
    user.refresh_from_db(fields=["epoch"])
    for row in EmailAddress.objects.filter(user=user, verified=False):
        row.delete()  # a confirmation link names its row: the address needs a new link
        row.pk = None
        row.save(force_insert=True)
