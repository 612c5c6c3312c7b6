"""Which pages are pictured, by whom they are seen, and in which state of the site."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product

from playwright.sync_api import Page

EMPTY, FULL, ERROR = STATES = ("empty", "full", "error")
OPERATOR, READER, NEWCOMER = "saraa", "bat", "oyuna"
JOBS, ACTIVITY, SECURITY = "/admin/jobs/joblog/", "/accounts/activity/", "/accounts/security/"


@dataclass(frozen=True)
class Variant:
    """How a page is looked at."""

    width: int
    language: str
    scheme: str

    def __str__(self) -> str:
        return f"{self.width}-{self.language}-{self.scheme}"


VARIANTS = [Variant(*each) for each in product((390, 1440), ("mn", "en"), ("light", "dark"))]
MEASURED = (720, 1100)
"""Further widths at which a wide page may not scroll sideways: a window of 1440 pixels at 200 %, and a small one."""


@dataclass(frozen=True)
class Shot:
    """One page in one state. path: with parts that `data.fill` returns. who: the user; "" before a sign-in."""

    path: str
    who: str = ""
    act: Callable[[Page], None] | None = field(default=None)
    """What is done on the page before it is pictured."""


def send_wrong(field_name: str, value: str) -> Callable[[Page], None]:
    """Return an act that submits the main form with one field filled."""

    def act(page: Page) -> None:
        page.evaluate("document.querySelectorAll('main form').forEach(form => { form.noValidate = true })")
        if value:
            page.locator(f"main [name={field_name}]").last.fill(value)
        page.locator("main form:has(button.main) button.main").last.click()
        page.wait_for_load_state()

    return act


KEY_PAGES = {
    "home": {EMPTY: Shot("/"), FULL: Shot("/", READER), ERROR: Shot("/no-such-page", READER)},
    "sign-in": {
        EMPTY: Shot("/accounts/login/"),
        FULL: Shot("/accounts/signup/"),
        ERROR: Shot("/accounts/login/", act=send_wrong("password", "wrong")),
    },
    "activity": {EMPTY: Shot(ACTIVITY, NEWCOMER), FULL: Shot(ACTIVITY, READER), ERROR: Shot(ACTIVITY, READER)},
    "security": {EMPTY: Shot(SECURITY, NEWCOMER), FULL: Shot(SECURITY, READER), ERROR: Shot(SECURITY, READER)},
    "preferences": {
        EMPTY: Shot("/accounts/preferences/", NEWCOMER),
        FULL: Shot("/accounts/preferences/", READER),
        ERROR: Shot("/accounts/preferences/", READER),
    },
    "not-me": {
        EMPTY: Shot("/accounts/not-me/x/"),
        FULL: Shot("/accounts/{dispute}"),
        ERROR: Shot("/accounts/{dispute}", act=send_wrong("answer", "")),
    },
    "overview": {state: Shot("/admin/", OPERATOR) for state in STATES},
    "jobs": {
        EMPTY: Shot(JOBS, OPERATOR),
        FULL: Shot(f"{JOBS}?status=all", OPERATOR),
        ERROR: Shot(f"{JOBS}?status=all&attempts=x&q=unknown-id", OPERATOR),
    },
    "dead-letters": {state: Shot(f"{JOBS}dead-letters/", OPERATOR) for state in STATES},
    "job": {
        EMPTY: Shot(f"{JOBS}0/change/", OPERATOR),
        FULL: Shot(JOBS + "{dead}/change/", OPERATOR),
        ERROR: Shot(JOBS + "{dead}/change/", OPERATOR),
    },
    "person": {
        EMPTY: Shot("/admin/accounts/user/{oyuna}/person/", OPERATOR),
        FULL: Shot("/admin/accounts/user/{bat}/person/", OPERATOR),
        ERROR: Shot("/admin/accounts/user/{bat}/person/", OPERATOR),
    },
    "developers": {
        EMPTY: Shot("/developers/"),
        FULL: Shot("/developers/?key={key}", OPERATOR),
        ERROR: Shot("/developers/?key={unused}", OPERATOR),
    },
}
"""The twelve pages that are pictured in each state and each variant."""

OUTSIDE = """
password/reset/ password/reset/done/ password/reset/key/1-x/ confirm-email/ confirm-email/x/ inactive/ unsubscribe/x/
cancel/x/ lost-factor/ lost-factor/x/ deleting/ 3rdparty/login/error/ 3rdparty/login/cancelled/ {shop_dispute}
"""
INSIDE = """
2fa/ notices/ email/ 3rdparty/ password/change/ data/ delete/ reauthenticate/ changes/ logout/ 2fa/recovery-codes/
2fa/webauthn/add/ activity/{sign_in}/not-me/
"""
ADMINISTRATION = """
jobs/joblog/{done}/change/ jobs/joblog/replay/?status=dlq accounts/ jobs/ address/ accounts/user/add/
accounts/user/{bat}/change/ accounts/user/{bat}/delete/ accounts/user/{bat}/history/ accounts/signin/{sign_in}/change/
accounts/user/elsewhere/{elsewhere}/ accounts/site/{shop}/change/ accounts/site/add/ accounts/apikey/add/
accounts/eventendpoint/add/
"""
OTHERS = [
    *(Shot(path) for path in ("/help/", "/api/docs", "/admin/login/")),
    *(Shot(f"/accounts/{path}") for path in OUTSIDE.split()),
    *(Shot(f"/accounts/{path}", READER) for path in INSIDE.split()),
    Shot("/accounts/2fa/totp/activate/", NEWCOMER),
    *(Shot(f"/admin/{path}", OPERATOR) for path in ADMINISTRATION.split()),
]
"""Pages that are pictured once, each in the next variant; the lists of the administration are added from its index."""

DOCUMENTED = {
    "home": (FULL, Variant(1440, "mn", "light")),
    "sign-in": (EMPTY, Variant(390, "en", "light")),
    "activity": (FULL, Variant(1440, "en", "light")),
    "security": (FULL, Variant(390, "mn", "dark")),
    "preferences": (FULL, Variant(390, "en", "light")),
    "not-me": (FULL, Variant(390, "mn", "light")),
    "overview": (FULL, Variant(1440, "en", "light")),
    "jobs": (FULL, Variant(1440, "en", "dark")),
    "dead-letters": (FULL, Variant(1440, "mn", "light")),
    "job": (FULL, Variant(1440, "en", "light")),
    "person": (ERROR, Variant(1440, "mn", "dark")),
    "developers": (EMPTY, Variant(1440, "en", "dark")),
}
"""The pictures of docs/design.md: the state and the variant of each key page."""
