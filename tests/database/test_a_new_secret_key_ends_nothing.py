"""SECRET_KEY is replaced, and the former one is a fallback.

Links, sessions, devices, factors, jobs and the suppression list go on. After `rotate_secrets` what is stored needs the
former key no longer."""

from io import StringIO

import pytest
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from django.core.management import CommandError, call_command
from django.utils import timezone
from django_q.conf import Conf

from accounts.credentials import Credential, ResetTokenGenerator
from accounts.factors import authenticators
from accounts.links import dispute_links
from accounts.secrecy import vault
from accounts.sign_in.event import SignIn
from accounts.sites.sign_ins import SiteSignIn, record_site_sign_in
from accounts.sites.site import Site
from accounts.suppression import entries, precheck
from accounts.suppression.entries import SuppressedAddress
from jobs.brokers import django_q
from jobs.queue.enqueue import Duplicate
from tests.support.factors import add_app, code, enter_code, recovery_codes
from tests.support.people import browser, last, person, sign_in, sign_out

pytestmark = pytest.mark.django_db
NEW = "a new key " * 6


@pytest.fixture
def bat():
    return person()


@pytest.fixture
def client(bat):
    client = browser()
    sign_in(client)
    return client


@pytest.fixture
def rotate(settings, monkeypatch):
    """Replaces SECRET_KEY; the former one stays a fallback."""

    def act(new=NEW):
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
        settings.SECRET_KEY = new
        monkeypatch.setattr(Conf, "SECRET_KEY", new)

    return act


@pytest.fixture
def end_fallbacks(settings):
    """Takes the former keys out of the settings."""

    def act():
        settings.SECRET_KEY_FALLBACKS = []

    return act


def test_links_in_emails_still_act(bat, client, rotate):
    EmailAddress.objects.create(user=bat, email="new@example.mn", verified=False)
    dispute = dispute_links.dispute_path(last().pk, bat.email)
    reset = ResetTokenGenerator().make_token(bat)
    confirm = EmailConfirmationHMAC(EmailAddress.objects.get(email="new@example.mn")).key
    rotate()
    assert ResetTokenGenerator().check_token(bat, reset)
    assert EmailConfirmationHMAC.from_key(confirm).email_address.email == "new@example.mn"
    disputed = last().pk
    browser().post(dispute, {"answer": "not-me"})
    assert SignIn.objects.get(pk=disputed).disputed_at


def test_links_of_a_key_that_was_taken_out_do_not(bat, client, rotate, end_fallbacks):
    dispute = dispute_links.dispute_path(last().pk, bat.email)
    rotate()
    end_fallbacks()
    assert browser().get(dispute).status_code == 404


def test_a_session_goes_on_and_outlives_the_former_key(client, rotate, end_fallbacks):
    rotate()
    assert client.get("/accounts/activity/").status_code == 200
    end_fallbacks()
    assert client.get("/accounts/activity/").status_code == 200, "its hash was renewed by the visit"


def test_a_known_device_stays_known(client, rotate):
    rotate()
    sign_out(client)
    sign_in(client)
    assert (last().new_device, last().vouched) == (False, True)


def test_the_suppression_list_stays_in_force(bat, rotate, end_fallbacks):
    entries.suppress("bat@example.mn", "bounced", reported_by="Postmark", at=timezone.now())
    rotate()
    job = type("Job", (), {"pk": 1, "payload": {"email": "Bat@example.mn"}})()
    assert list(precheck.check_notices([job])) == [1]
    assert entries.active_entry(["bat@example.mn"])
    entries.suppress("bat@example.mn", "bounced", reported_by="Postmark", at=timezone.now())
    assert SuppressedAddress.objects.count() == 1, "a second report found the entry of the first"
    end_fallbacks()
    assert entries.active_entry(["bat@example.mn"])


def test_the_command_gives_stored_hashes_and_secrets_the_present_key(bat, client, rotate, end_fallbacks):
    secret = add_app(client)
    kept = recovery_codes(client)
    for address in ("bat@example.mn", "stranger@example.mn"):
        entries.suppress(address, "bounced", reported_by="Postmark", at=timezone.now())
    rotate()
    said = StringIO()
    call_command("rotate_secrets", stdout=said)
    assert "encrypted with the present key: 2" in said.getvalue()
    assert "hashed with the present key: 1" in said.getvalue()
    assert "does not know: 1" in said.getvalue()
    client.get("/accounts/activity/")
    end_fallbacks()
    assert entries.active_entry(["bat@example.mn"])
    assert recovery_codes(client) == kept
    sign_out(client)
    sign_in(client)
    assert enter_code(client, code(secret, 1)).url == "/accounts/activity/"


def test_the_command_reaches_what_a_dispute_holds(bat, client, rotate, end_fallbacks):
    add_app(client)
    authenticators.remove_all_factors(bat)
    rotate()
    call_command("rotate_secrets", stdout=StringIO())
    end_fallbacks()
    held = Credential.objects.get(user=bat, kind="totp")
    assert vault.decrypt(held.sealed["data"]["secret"])


def test_the_command_fails_when_a_secret_cannot_be_read(client, rotate, end_fallbacks):
    add_app(client)
    rotate()
    end_fallbacks()
    with pytest.raises(CommandError, match="no key can read: 2"):
        call_command("rotate_secrets", stdout=StringIO())


def test_a_factor_is_read_with_a_key_of_its_own_and_its_fallbacks(client, settings):
    secret = add_app(client)
    settings.ENCRYPTION_KEY = "a key for encryption alone, of 40 letters"
    call_command("rotate_secrets", stdout=StringIO())
    settings.SECRET_KEY = NEW
    settings.ENCRYPTION_KEY, settings.ENCRYPTION_KEY_FALLBACKS = "its successor " * 4, [settings.ENCRYPTION_KEY]
    other = browser()
    sign_in(other)
    assert enter_code(other, code(secret, 1)).url == "/accounts/activity/"


def test_a_message_that_waits_is_still_read(rotate):
    payload = django_q.pack_task("a.function", 1, id="7", name="a name", lane="default")
    rotate()
    assert django_q.unpack_task(payload) == ("a.function", (1,))
    assert django_q.SignedPackage.loads(payload)["id"] == "7", "django-q2's own processes read it too"


def test_a_site_that_repeats_a_post_sends_no_second_notice(rotate):
    posted = SiteSignIn("7", "u@example.mn", "U", "password", "", "", timezone.now().isoformat(), None, None)
    site = Site.objects.find_or_make("shop", who="tests")
    record_site_sign_in(posted, site)
    rotate()
    with pytest.raises(Duplicate):
        record_site_sign_in(posted, site)
