""" "This wasn't me": the link in a notice, and what follows when its button is pressed.

    1. the sign-in is marked as disputed; of two presses one does it
    2. the password is made unusable, which alone ends every session, and the sessions are deleted
    3. remembered devices are forgotten: the next sign-in from anywhere is told as a new one
    4. only the address that was told remains, and no GitHub account that was connected since
    5. a way back in is mailed to that address, and the operators are alerted

All of it commits together. When the queue is out of order, everything but the mails does; they stay owed.
"""

import structlog
from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.db import Error, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from accounts import account_mails, sessions
from accounts.models import Notice, SignIn, User

log = structlog.get_logger("accounts")

OWED_AT_ONCE = 100
OPERATORS_AT_MOST = 20


def dispute(sign_in: SignIn) -> bool:
    """Does all that this module's head says; False when it has been done for this sign-in before."""
    with transaction.atomic():
        if not SignIn.objects.filter(pk=sign_in.pk, disputed_at=None).update(disputed_at=Now(), dispute_owed=True):
            return False
        _secure(sign_in)
        _tell(sign_in)
    log.warning("sign-in disputed", sign_in=str(sign_in.pk), user_id=sign_in.user_id)
    return True


def owed() -> QuerySet[SignIn]:
    """Disputed sign-ins whose mails could not be enqueued when the button was pressed, the oldest first."""
    return SignIn.objects.filter(dispute_owed=True).order_by("disputed_at")


def tell_owed() -> None:
    """Enqueues the mails that are owed. Safe to repeat."""
    for sign_in in owed().select_related("user")[:OWED_AT_ONCE]:
        _tell(sign_in)


def _secure(sign_in: SignIn) -> None:
    user = sign_in.user
    user.set_unusable_password()
    user.email = sign_in.email or user.email  # whoever got in may have put their own
    user.save(update_fields=["password", "email"])
    sessions.end(user_id=user.pk)
    user.devices.all().delete()
    EmailAddress.objects.filter(user=user).exclude(email__iexact=user.email).delete()
    EmailAddress.objects.filter(user=user).update(primary=True)
    SocialAccount.objects.filter(user=user, date_joined__gt=sign_in.at).delete()


def _tell(sign_in: SignIn) -> None:
    """Enqueues the mails and settles what is owed; leaves it owed when the queue cannot be written to."""
    user = sign_in.user
    try:
        with transaction.atomic():
            if user.email and sign_in.notice != Notice.UNVERIFIED:
                _mail("way_back", user.email, user, sign_in, number=0)
            for number, (address, operator) in enumerate(_operators()):
                _mail("dispute_alert", address, operator, sign_in, number)
            SignIn.objects.filter(pk=sign_in.pk).update(dispute_owed=False)
    except Error:
        log.exception("mails of a dispute could not be enqueued, they will be", sign_in=str(sign_in.pk))


def _mail(kind: str, address: str, person: User | None, sign_in: SignIn, number: int) -> None:
    job_id = f"{sign_in.job_id}.{kind}.{number}"
    account_mails.enqueue_urgent(kind, address, person, job_id, signInId=str(sign_in.pk), method=sign_in.method)


def _operators() -> list[tuple[str, User | None]]:
    """Who is alerted: staff that may see sign-ins, else the site's contact."""
    staff = User.objects.with_perm("accounts.view_signin", backend="django.contrib.auth.backends.ModelBackend")
    reached = staff.filter(is_staff=True).exclude(email="").order_by("pk")[:OPERATORS_AT_MOST]
    return [(operator.email, operator) for operator in reached] or [(settings.SUPPORT_EMAIL, None)]
