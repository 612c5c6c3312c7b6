"""The epoch of each user's sessions."""

from django.contrib.auth.models import AbstractBaseUser
from django.db import models, router, transaction


class SessionEpochManager(models.Manager["SessionEpoch"]):
    """Reads and advances epochs."""

    def current(self, user_key: str) -> int:
        """Return the number that a session must have; 0 for a user without a dispute. Read from no replica."""
        primary = self.using(router.db_for_write(self.model))
        return primary.filter(user_key=user_key).values_list("number", flat=True).first() or 0

    def advance(self, user_key: str, event_id: str) -> bool:
        """End all sessions of a user. False when this event did so before. Call it in a transaction."""
        epoch, _ = self.select_for_update().get_or_create(user_key=user_key)
        if epoch.last_event == event_id[:128]:
            return False
        epoch.number, epoch.last_event = epoch.number + 1, event_id[:128]
        epoch.save()
        return True


class SessionEpoch(models.Model):
    """A number that grows with each dispute of a user.

    A session keeps the number of its sign-in. One with another number has ended, in whatever engine it is stored. No
    clock is involved, so that a clock that is wrong on one host leaves no session of a stranger alive.
    """

    user_key = models.CharField(max_length=128, primary_key=True)
    number = models.PositiveIntegerField(default=0)
    last_event = models.CharField(max_length=128, blank=True, default="")

    objects = SessionEpochManager()

    def __str__(self) -> str:
        return f"{self.user_key}: {self.number}"


def user_key_of(user: AbstractBaseUser) -> str:
    """Return the user's key as text, as Django's sessions have it."""
    return user._meta.pk.value_to_string(user)


def transaction_of_epochs() -> transaction.Atomic:
    """Return a transaction, or a savepoint in one, of the database that holds the epochs."""
    return transaction.atomic(using=router.db_for_write(SessionEpoch))
