"""What a sign-in has to know of those before it: one statement, however many there were.

Written as SQL because a person waits for it: building it with the ORM took ten times as long as running it.
"""

from dataclasses import dataclass

from django.db import connection

from accounts.models import SignIn

HISTORY = """
    SELECT EXISTS (SELECT 1 FROM accounts_signin WHERE user_id = %(user)s),
           EXISTS (SELECT 1 FROM accounts_device WHERE user_id = %(user)s AND (id = %(named)s
                   OR (browser = %(browser)s AND system = %(system)s AND browser || system <> ''))),
           (SELECT verified FROM account_emailaddress WHERE user_id = %(user)s AND lower(email) = lower(%(email)s)
            LIMIT 1),
           (SELECT count(*) FROM accounts_signin WHERE user_id = %(user)s AND notice = 'limited' AND at > coalesce(
               (SELECT max(at) FROM accounts_signin WHERE user_id = %(user)s AND notice IN ('queued', 'owed')),
               '2000-01-01'))
"""


@dataclass(frozen=True)
class History:
    """seen: has signed in before. known: from such a device. verified: of the account's address, None when it has no
    row, an operator having entered it. untold: sign-ins over the limit since the last one that was told."""

    seen: bool
    known: bool
    verified: bool | None
    untold: int


def of(sign_in: SignIn, named: int | None) -> History:
    """The history before `sign_in`, which is not saved yet.

    named: the device that the browser's cookie names. Families know a device too, unless neither is known: an
    attacker's script has none either.
    """
    values = {
        "user": sign_in.user_id,
        "named": named,
        "browser": sign_in.browser,
        "system": sign_in.system,
        "email": sign_in.email,
    }
    with connection.cursor() as cursor:
        cursor.execute(HISTORY, values)
        seen, known, verified, untold = cursor.fetchone()
    return History(bool(seen), bool(known), None if verified is None else bool(verified), untold)
