"""The user's earlier sign-ins, as far as a new one needs them: one statement, of the same cost however many there are.

It is written as SQL because a user waits for it: building it with the ORM took ten times as long as running it. On
PostgreSQL it is the function `sign_in_history` (accounts/migrations), which is planned once for each session: planning
took longer than running it.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.utils.dateparse import parse_datetime

from accounts.sign_in.event import SignIn
from accounts.sign_in.known_devices import Device
from accounts.sign_in.risk import Past
from jobs.core import sql
from jobs.core.sql.variants import Statement

LOOKED_AT = 200  # the newest sign-ins of a user, in which networks and countries are looked up
MAX_ADDRESSES = 20  # of an account that get an alert
LOCK_TIMEOUT_MS = 250  # the longest wait of a sign-in for a lock on our tables

# Of the values, `user` is NULL for another site's user, and `site` for one of this site.
ASK = Statement(
    postgresql="""
    SELECT * FROM sign_in_history(%(user)s, %(site)s, %(user_key)s, %(browser)s, %(system)s, %(country)s, %(email)s,
        %(secrets)s::text[], %(networks)s::text[], %(days)s, %(looked_at)s, %(addresses)s)
""",
    sqlite="""
    WITH mine AS (
        SELECT at, network, country, notice, disputed_at, closed_since FROM accounts_signin WHERE {owner}
    ), recent AS (
        SELECT at, network, country FROM mine WHERE disputed_at IS NULL AND closed_since IS NULL
        AND at > STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW', '-' || %(days)s || ' days')
        ORDER BY at DESC LIMIT %(looked_at)s
    ), elsewhere AS (
        SELECT at, country FROM recent WHERE country NOT IN ('', %(country)s) ORDER BY at DESC LIMIT 1
    )
    SELECT STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW'),
           (SELECT count(*) FROM mine WHERE notice = 'limited' AND at > coalesce(
               (SELECT max(at) FROM mine WHERE notice IN ('queued', 'pending')), '2000-01-01')),
           EXISTS (SELECT 1 FROM mine),
           (SELECT max(at) FROM recent),
           EXISTS (SELECT 1 FROM recent WHERE country <> ''),
           EXISTS (SELECT 1 FROM recent WHERE country = %(country)s AND country <> ''),
           EXISTS (SELECT 1 FROM recent, json_each(%(networks)s) AS one WHERE network = one.value AND network <> ''),
           EXISTS (SELECT 1 FROM accounts_device WHERE {owner} AND browser = %(browser)s
                   AND system = %(system)s AND browser || system <> ''),
           (SELECT country FROM elsewhere), (SELECT at FROM elsewhere),
           device.id, device.first_at, device.first_of_account, address.email, address.verified
    FROM (SELECT 1 AS one) AS row_of_its_own
    LEFT JOIN (SELECT * FROM accounts_device WHERE {owner} AND secret <> ''
               AND secret IN (SELECT value FROM json_each(%(secrets)s)) LIMIT 1) AS device ON true
    LEFT JOIN account_emailaddress AS address
        ON address.user_id = %(user)s AND (address.verified OR lower(address.email) = lower(%(email)s))
    ORDER BY address.id LIMIT %(addresses)s
""".replace("{owner}", "(user_id = %(user)s OR (site_id = %(site)s AND user_key = %(user_key)s))"),
)


@dataclass(frozen=True)
class SignInHistory:
    """What is known before a sign-in is recorded."""

    now: datetime
    """The database's time."""
    past: Past
    device: Device | None
    """The device that the browser's cookie names."""
    limited: int
    """Sign-ins without a notice, because of the hourly limit, since the last one with a notice."""
    addresses: dict[str, bool]
    """The account's addresses, and whether each is confirmed: the account's own one, and every confirmed one."""
    lock_timeout: str
    """The lock timeout before LOCK_TIMEOUT_MS, to restore; "" where there is none."""

    def recipients(self, own: str, *, everyone: bool) -> list[str]:
        """Return the confirmed addresses that a notice goes to, the account's own one first.

        own: the account's address; one without an entry was entered by an operator and counts as confirmed.
        everyone: whether to return all of them.
        """
        confirmed = {address.lower(): address for address, is_confirmed in self.addresses.items() if is_confirmed}
        if own and own.lower() not in map(str.lower, self.addresses):
            confirmed[own.lower()] = own
        first = [own] if confirmed.pop(own.lower(), "") else []
        return [*first, *confirmed.values()] if everyone else first


def load_history(sign_in: SignIn, secrets: list[str], networks: list[str]) -> SignInHistory:
    """Return the history before `sign_in`, which is not saved yet.

    On this site a user waits for it, so from now on waits for locks are short.
    secrets: hashes of the secret of its device, with the present key and former ones. networks: those of its network.
    """
    values = {
        "user": sign_in.user_id,
        "site": sign_in.site_id,
        "user_key": sign_in.user_key,
        "browser": sign_in.browser,
        "system": sign_in.system,
        "country": sign_in.country,
        "email": sign_in.email,
        "days": settings.RETENTION_DAYS_SIGN_INS,
        "looked_at": LOOKED_AT,
        "addresses": MAX_ADDRESSES,
        "secrets": secrets,
        "networks": networks,
    }
    if sign_in.site_id is None:
        lock_timeout, rows = sql.fetch_with_short_waits(*ASK.bind(values), LOCK_TIMEOUT_MS)
    else:
        lock_timeout, rows = "", sql.fetch_all(*ASK.bind(values))
    now, limited, *judged = rows[0][:10]
    device = _device(sign_in, *rows[0][10:13])
    addresses = {email: bool(verified) for *_, email, verified in rows if email}
    past = _past(judged, device, sign_in.user.last_login if sign_in.user else None)
    return SignInHistory(_time(now) or datetime.now(UTC), past, device, limited, addresses, lock_timeout)


def _past(judged: list[Any], device: Device | None, last_login: datetime | None) -> Past:
    """Return what the sign-in is judged by.

    last_login: of the account before this sign-in; it is known for longer than the sign-ins are kept.
    """
    seen, last_at, located, country_seen, network_seen, families_seen, elsewhere, elsewhere_at = judged
    return Past(
        seen=bool(seen) or last_login is not None,
        last_at=_time(last_at) or last_login,
        located=bool(located),
        country_seen=bool(country_seen),
        network_seen=bool(network_seen),
        families_seen=bool(families_seen),
        cookie_valid=device is not None,
        elsewhere=elsewhere or "",
        elsewhere_at=_time(elsewhere_at),
    )


def _device(sign_in: SignIn, pk: int | None, first_at: Any, first_of_account: Any) -> Device | None:
    if pk is None:
        return None
    since = _time(first_at) or datetime.now(UTC)
    known = Device(pk=pk, user_id=sign_in.user_id, first_at=since, first_of_account=bool(first_of_account))
    known._state.adding = False
    return known


def _time(value: Any) -> datetime | None:
    """Return a time of the database; SQLite returns text in UTC."""
    if isinstance(value, str):
        parsed = parse_datetime(value)
        return parsed.replace(tzinfo=UTC) if parsed else None
    return value
