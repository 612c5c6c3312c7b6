"""Every page a person sees: axe finds nothing, it fits a phone, and nothing in it breaks the site's own policy."""

import os
import re
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.support.factors import code
from tests.support.fake_github import ID, SECRET
from tests.support.people import PASSWORD, settle
from tests.support.site import Site

OUTSIDE = [
    "/",
    "/help/",
    "/developers/",
    "/api/docs",
    "/accounts/login/",
    "/accounts/signup/",
    "/accounts/password/reset/",
    "/accounts/password/reset/done/",
    "/accounts/password/reset/key/done/",
    "/accounts/password/reset/key/1-x/",
    "/accounts/confirm-email/",
    "/accounts/confirm-email/x/",
    "/accounts/inactive/",
    "/accounts/not-me/x/",
    "/accounts/unsubscribe/x/",
    "/accounts/cancel/x/",
    "/accounts/lost-factor/",
    "/accounts/lost-factor/x/",
    "/accounts/deleting/",
    "/accounts/github/login/",
    "/accounts/github/login/callback/",
    "/accounts/3rdparty/login/error/",
    "/accounts/3rdparty/login/cancelled/",
    "/no-such-page",
]
INSIDE = [
    "/",
    "/accounts/activity/",
    "/accounts/security/",
    "/accounts/notices/",
    "/accounts/preferences/",
    "/accounts/2fa/",
    "/accounts/email/",
    "/accounts/3rdparty/",
    "/accounts/password/change/",
    "/accounts/data/",
    "/accounts/delete/",
    "/accounts/reauthenticate/",
    "/accounts/changes/",
    "/accounts/logout/",
]
MARK = (
    "from accounts.suppression import entries; from django.utils import timezone;"
    "entries.suppress('bat@example.mn', '{}', reported_by='Postmark', at=timezone.now())"
)
ASK = (
    "from accounts.user import User; from accounts.pending import flow; from accounts.links.address_links import *;"
    "from django.utils import timezone; user = User.objects.get(username='bat');"
    "request = flow.ask(user, '{}', since=timezone.now());"
    "print(UNSUBSCRIBE.make(user.pk, user.email), CANCEL.make(request.pk, user.email))"
)
SITE_SIGN_IN = """
from django.utils import timezone
from accounts.links.address_links import UNSUBSCRIBE_SITE
from accounts.links import dispute_links
from accounts.sign_in.event import SignIn
from accounts.sites.sign_ins import SiteSignIn, record_site_sign_in
from accounts.sites.site import Site
shop, _ = Site.objects.get_or_create(slug="mountain", defaults=dict(name="Mountain Shop", url="https://shop.example",
    secure_url="https://shop.example/security", support_email="help@shop.example", colour="#0055aa"))
posted = SiteSignIn("42", "bat@example.mn", "Bat", "google", "", "", timezone.now().isoformat(), "{}", None)
job = record_site_sign_in(posted, shop)
sign_in = SignIn.objects.get(pk=job.payload["signInId"])
print(dispute_links.dispute_link(sign_in.pk, sign_in.email), UNSUBSCRIBE_SITE.make(sign_in.pk.int, sign_in.email))
"""
SIGN_INS = (
    "INSERT INTO accounts_signin (id, at, user_id, method, ip, browser, system, email, language, time_zone, new_device,"
    " more_sign_ins, notice, dispute_pending, vouched) SELECT gen_random_uuid(), now() - n * interval '3 hours', id,"
    " 'password', '203.0.113.7', 'Chrome', 'Windows', '', 'mn', 'Asia/Hovd', false, 0, 'opted_out', false, false"
    " FROM accounts_user, generate_series(10, 15) n WHERE username = 'bat'"
)
A_SITE = (
    "from accounts.sites.site import Site; from accounts.sites.keys import ApiKey;"
    "from accounts.sites.api_requests import ApiRequest; from accounts.user import User;"
    "from django.utils import timezone; User.objects.filter(username='bat').update(is_superuser=True);"
    "site = Site.objects.filter(slug='shop').first() or Site.objects.make('shop', who='tests', test_mode=True);"
    "key = site.keys.first() or ApiKey.objects.find(ApiKey.objects.make('web', ['read'], who='tests', site=site));"
    "ApiRequest.objects.get_or_create(key=key, minute=timezone.now(), method='GET', route='x', status=429);"
    "print(site.pk, key.pk)"
)
A_GROUP = (
    "from django.contrib.auth.models import Group; from accounts.user import User;"
    "from django.contrib.admin.models import LogEntry, CHANGE;"
    "User.objects.filter(username='bat').update(is_superuser=True); bat = User.objects.get(username='bat');"
    "group, _ = Group.objects.get_or_create(name='operators');"
    "LogEntry.objects.log_actions(bat.pk, [group], CHANGE, 'Changed name.', single_object=True)"
)
DJANGOS_OWN = (
    "/admin/",
    "/admin/password_change/",
    "/admin/auth/",
    "/admin/auth/group/",
    "/admin/auth/group/?q=nothing",
    "/admin/auth/group/add/",
    "/admin/auth/group/{group}/change/",
    "/admin/auth/group/{group}/history/",
    "/admin/auth/group/{group}/delete/",
    "/admin/accounts/",
    "/admin/accounts/user/",
    "/admin/accounts/user/add/",
    "/admin/accounts/user/{user}/change/",
    "/admin/accounts/user/{user}/password/",
    "/admin/accounts/user/{user}/history/",
    "/admin/accounts/signin/",
    "/admin/no-such-page/",
)
SCHEDULES = """
from accounts.user import User
from jobs.core.job import JobLog
from jobs.maintenance.faults import Faults
from jobs.schedules import actions
from jobs.schedules.state import ScheduleState
from jobs.schedules.ticker import Ticker
User.objects.filter(username="bat").update(is_superuser=True)
ScheduleState.objects.all().delete()
Ticker(Faults()).tick_all()
actions.pause("prune", who="saraa", why="maintenance of the database")
JobLog.objects.filter(pk=actions.run_now("prune", who="saraa").pk).update(status="dlq")
ScheduleState.objects.create(name="old-report", loaded_at="2026-11-27T00:00:00Z")
ScheduleState.objects.filter(name="prune").update(error="LookupError: no task", failed_at="2026-11-27T00:00:00Z")
"""
VARIANTS = [("mn", "light", 360), ("en", "dark", 1280)]  # each value once; make test-world has each pair of values
if os.environ.get("WORLD"):
    VARIANTS += [("mn", "dark", 1280), ("en", "light", 360)]


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site(GITHUB_CLIENT_ID=ID, GITHUB_CLIENT_SECRET=SECRET) as running:
        running.start("web")
        settle(running, "bat", staff=True)
        yield running


@pytest.fixture(params=VARIANTS, ids=["-".join(map(str, variant)) for variant in VARIANTS])
def page(request: pytest.FixtureRequest, browser: Browser, site: Site) -> Iterator[Page]:
    language, scheme, width = request.param
    context = browser.new_context(
        locale=language, color_scheme=scheme, viewport={"width": width, "height": 800}, base_url=site.url
    )
    yield context.new_page()
    context.close()


def test_the_pages_before_signing_in(page):
    complaints = listen(page)
    for path in OUTSIDE:
        page.goto(path)
        examine(page, path)
    page.goto("/accounts/login/")
    sign_in(page, "wrong")
    examine(page, "a wrong password")
    assert complaints == []


def test_the_pages_after_it(page):
    complaints = listen(page)
    page.goto("/accounts/login/")
    sign_in(page, PASSWORD)
    for path in INSIDE:
        page.goto(path)
        examine(page, path)
    page.goto("/accounts/activity/")
    for summary in page.locator("details.older summary").all():
        summary.click()
    page.locator("a[href$='/not-me/']").first.click()
    examine(page, "the fresh check")
    page.locator("[name=password]").fill(PASSWORD)
    page.locator("main form button.main").click()
    examine(page, "a report from inside")
    assert complaints == []


def test_the_pages_of_second_factors(page, site):
    complaints = listen(page)
    page.goto("/accounts/login/")
    sign_in(page, PASSWORD)
    page.goto("/accounts/2fa/totp/activate/")
    page.locator("#id_password").fill(PASSWORD)
    page.locator("main form button.main").click()
    examine(page, "adding an app")
    page.locator("#id_code").fill(code(page.locator("code.secret").text_content()))
    page.locator("main form button.main").click()
    examine(page, "the recovery codes")
    for path in ("", "webauthn/add/", "recovery-codes/", "recovery-codes/generate/", "totp/deactivate/"):
        page.goto(f"/accounts/2fa/{path}")
        examine(page, path)
    page.context.clear_cookies()
    page.goto("/accounts/login/")
    sign_in(page, PASSWORD)
    assert page.url.endswith("/accounts/2fa/authenticate/")
    page.locator("#id_code").fill("000000")
    page.locator("main form button.main").click()
    examine(page, "a wrong code in the second step")
    site.sql("DELETE FROM mfa_authenticator")
    site.sql("UPDATE accounts_credential SET state = 'gone' WHERE kind <> 'address'")
    assert complaints == []


def test_the_pages_of_sites_and_their_keys(page, site):
    shop, key = site.manage("shell", "-v0", "-c", A_SITE).split()[-2:]
    complaints = listen(page)
    page.goto("/accounts/login/")
    sign_in(page, PASSWORD)
    paths = (f"site/{shop}/change/", "site/add/", "site/", "apikey/", "apikey/add/", "eventendpoint/add/")
    paths = (*paths, f"apikey/{key}/change/", f"apikey/{key}/rotate/")
    for path in (*(f"/admin/accounts/{path}" for path in paths), f"/developers/?key={key}"):
        page.goto(path)
        examine(page, path)
    assert page.locator("#requests ~ table .tag").first.text_content() == "429"
    complaints.clear()  # axe's own attempts at styles in the frame
    page.goto(f"/admin/accounts/site/{shop}/change/")
    page.locator("#id_colour").fill("red")
    page.locator("[formtarget=mail]").last.click()
    page.frame_locator("iframe[name=mail]").get_by_text("#0055aa").wait_for()
    page.locator("#id_colour").fill("#aa0055")
    page.locator("[formtarget=mail]").last.click()
    page.frame_locator("iframe[name=mail]").locator("h1").wait_for()
    assert page.url.endswith(f"/admin/accounts/site/{shop}/change/")
    assert complaints == []


@pytest.mark.timeout(400)
def test_djangos_own_pages_of_the_admin(page, site):
    page.goto("/admin/login/")
    examine(page, "signing in to the admin")
    site.manage("shell", "-v0", "-c", A_GROUP)
    user, group = site.sql("SELECT u.id, g.id FROM accounts_user u, auth_group g WHERE username = 'bat'")[0]
    page.goto("/accounts/login/")
    sign_in(page, PASSWORD)
    complaints = listen(page)
    for path in (path.format(user=user, group=group) for path in DJANGOS_OWN):
        page.goto(path)
        page.wait_for_load_state()
        assert complaints == [], path
        examine(page, path)
        complaints.clear()  # axe's own attempts at styles
    page.goto("/admin/auth/group/")
    page.locator("[name=_selected_action]").first.check()
    page.locator("[name=action]").first.select_option("delete_selected")
    page.locator("button[name=index]").first.click()
    examine(page, "the confirmation of an action")
    page.goto("/admin/auth/group/add/")
    page.locator("[name=_save]").first.click()
    examine(page, "a form with an error")
    page.goto("/admin/")
    page.locator("#logout-form button").click()
    page.wait_for_load_state()
    examine(page, "signed out")


def test_the_page_of_every_email(page, site):
    site.manage("shell", "-v0", "-c", A_SITE)
    complaints = listen(page)
    page.goto("/accounts/login/")
    sign_in(page, PASSWORD)
    page.goto("/admin/mails/?site=example&language=en")
    examine(page, "every email")
    complaints.clear()  # axe's own attempts at styles in the frame
    page.locator("li", has_text="sign-in.new-device.github").get_by_role("link", name="HTML").click()
    page.frame_locator("iframe[name=mail]").get_by_role("heading", name="Sign-in from a new device").wait_for()
    assert page.locator("ul.subjects").bounding_box()["height"] < 700, "the list scrolls, so the frame stays near"
    assert page.url.endswith("/admin/mails/?site=example&language=en")
    assert complaints == []


def test_the_page_of_the_schedules(page, site):
    site.manage("shell", "-v0", "-c", SCHEDULES)
    complaints = listen(page)
    page.goto("/accounts/login/")
    sign_in(page, PASSWORD)
    page.goto("/admin/jobs/schedulestate/")
    examine(page, "the schedules")
    page.locator("form[action$='resume/'] button").click()
    page.locator("form[action$='pause/'] [name=why]").fill("holidays")
    page.locator("form[action$='pause/'] button").click()
    expect(page.locator(".pill.failed")).to_have_count(1)
    examine(page, "a schedule was paused")
    site.sql("DELETE FROM job_logs WHERE status = 'dlq'")
    assert complaints == []


@pytest.mark.parametrize("why", ["bounced", "complained"])
def test_the_pages_when_mails_come_back(page, site, why):
    site.sql("DELETE FROM accounts_suppressedaddress")
    site.manage("shell", "-v0", "-c", MARK.format(why))
    complaints = listen(page)
    page.goto("/accounts/login/")
    sign_in(page, PASSWORD)
    for path in ("/accounts/activity/", "/accounts/preferences/", "/accounts/email/"):
        page.goto(path)
        examine(page, path)
        assert page.get_by_role("region").count() == 1
    page.goto("/admin/accounts/suppressedaddress/")
    examine(page, "the operator's list")
    page.locator("#result_list th.field-masked a").click()
    page.locator("button[data-sure]").wait_for()
    assert complaints == []
    examine(page, "the operator's page of one")
    complaints.clear()  # axe's own attempt at a style there
    page.locator("button[data-sure]").click()
    page.locator("#sure button[value=yes]").click()
    page.wait_for_load_state()
    page.locator("button[data-sure]").wait_for(state="detached")
    page.goto("/accounts/activity/")
    assert page.get_by_role("region").count() == 0
    assert complaints == []


@pytest.mark.parametrize("kind", ["delete", "lost_factor", "restore"])
def test_the_pages_of_the_links_in_emails(page, site, kind):
    site.sql("DELETE FROM accounts_pendingrequest")
    site.sql("UPDATE accounts_user SET notify_sign_ins = true")
    if kind == "restore":
        site.sql(
            "INSERT INTO accounts_credential (user_id, address, state, since)"
            " SELECT id, email, 'current', '2020-01-01' FROM accounts_user WHERE username = 'bat'"
            " ON CONFLICT DO NOTHING"
        )
    off, cancel = re.findall(r"http\S+/accounts/\S+/", site.manage("shell", "-v0", "-c", ASK.format(kind)))
    complaints = listen(page)
    for url in (off, cancel):
        page.goto(url)
        examine(page, url)
    page.locator("#answer_keep").check()
    page.locator("main button").click()
    examine(page, "the request stays")
    page.goto(cancel)
    page.locator("#answer_change").check()
    page.locator("main button").click()
    examine(page, "the request is cancelled")
    assert site.sql("SELECT count(*) FROM accounts_pendingrequest WHERE cancelled_at IS NOT NULL") == [(1,)]
    page.goto(off)
    page.locator("main button").click()
    examine(page, "notices are off")
    assert site.sql("SELECT notify_sign_ins FROM accounts_user WHERE username = 'bat'") == [(False,)]
    assert complaints == []


def test_the_pages_of_another_site(page, site):
    language = "en" if page.evaluate("navigator.language").startswith("en") else "mn"
    dispute, off = re.findall(
        r"http\S+/accounts/\S+/", site.manage("shell", "-v0", "-c", SITE_SIGN_IN.format(language))
    )
    complaints = listen(page)
    for url in (off, dispute):
        page.goto(url)
        examine(page, url)
        assert "Mountain Shop" in page.title()
    page.evaluate("document.querySelector('main form').noValidate = true")
    page.locator("main form button.main").click()
    examine(page, "no answer")
    page.locator("#answer_keep").check()
    page.locator("main form button.main").click()
    examine(page, "thanks")
    page.goto(dispute)
    page.locator("#answer_change").check()
    page.locator("main form button.main").click()
    examine(page, "disputed")
    assert page.get_by_role("link", name="Mountain Shop").count() == 2
    page.goto(off)
    page.locator("main form button").click()
    examine(page, "turned off")
    assert page.locator("html").get_attribute("lang") == language
    assert complaints == []


def test_sign_ins_in_a_row_are_folded_and_can_be_opened(page, site):
    site.sql("DELETE FROM accounts_signin WHERE browser = 'Chrome'")
    site.sql(SIGN_INS)
    page.goto("/accounts/login/")
    sign_in(page, PASSWORD)
    page.goto("/accounts/activity/")
    examine(page, "folded")
    folded = page.locator("details.older")
    assert folded.locator("li").first.is_hidden()
    folded.locator("summary").first.click()
    assert folded.locator("li").first.is_visible()
    examine(page, "opened")


def test_the_language_switch_keeps_the_place_and_the_choice(page):
    page.goto("/accounts/signup/?next=/accounts/preferences/")
    for name, language in (("English", "en"), ("Монгол", "mn")):
        page.get_by_role("button", name=name).click()
        page.wait_for_load_state()
        assert page.locator("html").get_attribute("lang") == language
        assert page.url.endswith("/accounts/signup/?next=/accounts/preferences/")


def test_everything_on_the_sign_in_page_can_be_reached_by_keyboard(page):
    page.goto("/accounts/login/")
    seen = []
    for _ in range(20):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.id || document.activeElement.className"))
    assert seen[0] == "skip"
    assert seen.index("id_login") < seen.index("id_password") < seen.index("id_remember")


@pytest.mark.parametrize("path", ["/", "/accounts/login/", "/accounts/not-me/x/", "/no-such-page"])
def test_no_page_may_load_or_send_anything_elsewhere(client, db, path):
    policy = client.get(path)["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


def listen(page: Page) -> list[str]:
    """Collects what the browser's console says about the site's policy, and errors in scripts."""
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if "Security Policy" in message.text else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    return said


def examine(page: Page, what: str) -> None:
    page.wait_for_load_state()
    page.locator("h1").first.wait_for()
    found = Axe().run(page).response["violations"]
    assert [(rule["id"], rule["nodes"][0]["target"]) for rule in found] == [], what
    width, height = page.viewport_size["width"], page.viewport_size["height"]
    for seen in (max(320, width // 2), width):  # the first: a window that is enlarged to 200 %
        page.set_viewport_size({"width": seen, "height": height})
        assert page.evaluate("document.documentElement.scrollWidth") <= seen, f"{what} is wider than {seen} px"
    assert page.locator("h1").count() == 1, what
    assert re.fullmatch("mn|en", page.locator("html").get_attribute("lang"))


def sign_in(page: Page, password: str) -> None:
    page.locator("#id_login").fill("bat")
    page.locator("#id_password").fill(password)
    page.locator("main form button.main").last.click()
    page.wait_for_load_state()
