"""X-Forwarded-For is believed only as far as our own proxies wrote it."""

import ipaddress

import pytest
from django.http import HttpRequest, HttpResponse
from environs import ValidationError

from notifier import checks, env_validators, middleware

INSIDE = ["10.0.0.0/8", "192.0.2.1", "fd00::/8"]
CLIENT = "203.0.113.7"
SPOOF = "6.6.6.6"

TABLE = [  # who connected, X-Forwarded-For, who it is
    (CLIENT, "", CLIENT),
    (CLIENT, SPOOF, CLIENT),
    (CLIENT, f"{SPOOF}, 10.0.0.1", CLIENT),
    ("10.0.0.1", "", "10.0.0.1"),
    ("10.0.0.1", CLIENT, CLIENT),
    ("10.0.0.1", f"{SPOOF}, {CLIENT}", CLIENT),
    ("10.0.0.1", f"{SPOOF},{SPOOF},{CLIENT}", CLIENT),
    ("10.0.0.1", f"{SPOOF}, {CLIENT}, 10.0.0.2", CLIENT),
    ("10.0.0.1", f"{SPOOF}, {CLIENT}, 10.0.0.3, 192.0.2.1, 10.0.0.2", CLIENT),
    ("10.0.0.1", f"10.9.9.9, {CLIENT}", CLIENT),
    ("10.0.0.1", f"127.0.0.1, {CLIENT}", CLIENT),
    ("10.0.0.1", "10.0.0.9, 10.0.0.8", "10.0.0.9"),
    ("10.0.0.1", f"{CLIENT}:51234", CLIENT),
    ("10.0.0.1", f'"{CLIENT}"', CLIENT),
    ("10.0.0.1", f"  {CLIENT}\t", CLIENT),
    ("10.0.0.1", "2001:db8::1", "2001:db8::1"),
    ("10.0.0.1", "2001:0DB8:0000::0001", "2001:db8::1"),
    ("10.0.0.1", "[2001:db8::1]:443", "2001:db8::1"),
    ("10.0.0.1", "[2001:db8::1]", "2001:db8::1"),
    ("10.0.0.1", "fe80::1%eth0", "fe80::1"),
    ("10.0.0.1", "::ffff:203.0.113.7", CLIENT),
    ("::ffff:10.0.0.1", CLIENT, CLIENT),
    ("fd00::5", f"{SPOOF}, {CLIENT}", CLIENT),
    ("fd00::5", f"{CLIENT}, fd00::6", CLIENT),
    ("2001:db8::5", SPOOF, "2001:db8::5"),
    ("10.0.0.1", "unknown", "10.0.0.1"),
    ("10.0.0.1", f"{CLIENT}, unknown", "10.0.0.1"),
    ("10.0.0.1", f"{SPOOF}, <script>, 10.0.0.2", "10.0.0.2"),
    ("10.0.0.1", "1.2.3", "10.0.0.1"),
    ("10.0.0.1", "999.1.1.1", "10.0.0.1"),
    ("10.0.0.1", "0x7f.1", "10.0.0.1"),
    ("10.0.0.1", "127.1", "10.0.0.1"),
    ("10.0.0.1", "_hidden, for=1.2.3.4", "10.0.0.1"),
    ("10.0.0.1", ",,,", "10.0.0.1"),
    ("10.0.0.1", f"{CLIENT},", "10.0.0.1"),
    ("10.0.0.1", f"{SPOOF}\x00", "10.0.0.1"),
    ("10.0.0.1", ", ".join([SPOOF] * 50_000 + [CLIENT]), CLIENT),
    ("10.0.0.1", "A" * 1_000_000, "10.0.0.1"),
    ("", CLIENT, ""),
    ("@", CLIENT, ""),
    ("garbage", CLIENT, ""),
]


@pytest.mark.parametrize(("peer", "forwarded", "client"), TABLE, ids=range(len(TABLE)))
def test_the_table(settings, peer, forwarded, client):
    settings.TRUSTED_PROXIES = INSIDE
    assert seen(peer, forwarded).META["REMOTE_ADDR"] == client


@pytest.mark.parametrize("forwarded", [SPOOF, f"{SPOOF}, 10.0.0.1", "", "unknown"])
def test_without_trusted_proxies_the_header_means_nothing(settings, forwarded):
    settings.TRUSTED_PROXIES = []
    assert seen("10.0.0.1", forwarded).META["REMOTE_ADDR"] == "10.0.0.1"


def test_a_unix_socket_is_trusted_when_it_is_named(settings):
    settings.TRUSTED_PROXIES = ["unix"]
    assert seen("", f"{SPOOF}, {CLIENT}").META["REMOTE_ADDR"] == CLIENT
    assert seen("10.0.0.1", SPOOF).META["REMOTE_ADDR"] == "10.0.0.1"


@pytest.mark.parametrize(("peer", "scheme"), [("10.0.0.1", "https"), (CLIENT, "http")])
def test_only_a_trusted_proxy_can_say_that_the_way_to_it_was_encrypted(settings, peer, scheme):
    settings.TRUSTED_PROXIES = INSIDE
    assert seen(peer, CLIENT, HTTP_X_FORWARDED_PROTO="https").META["wsgi.url_scheme"] == scheme


SCHEMES = [  # X-Forwarded-For, X-Forwarded-Proto, the scheme at the client
    (CLIENT, "https", "https"),
    (CLIENT, "https,https", "https"),
    (CLIENT, "https, http", "http"),
    (CLIENT, '"https"', "https"),
    (CLIENT, " HTTPS ", "https"),
    ("", "https,https", "https"),
    (f"{SPOOF}, {CLIENT}", "https, http", "http"),
    (f"{CLIENT}, 10.0.0.2", "https, http", "https"),
    (f"{CLIENT}, 10.0.0.2", "http, https", "http"),
    (f"{CLIENT}, 10.0.0.2", "https", "https"),
    (f"{SPOOF}, {CLIENT}, 10.0.0.2", "https, http, https", "http"),
    (CLIENT, "", "http"),
    (CLIENT, ",,", "http"),
    (CLIENT, "wss", "http"),
]


@pytest.mark.parametrize(("forwarded", "proto", "scheme"), SCHEMES)
def test_the_scheme_is_read_as_the_address_is(settings, forwarded, proto, scheme):
    settings.TRUSTED_PROXIES = INSIDE
    meta = seen("10.0.0.1", forwarded, HTTP_X_FORWARDED_PROTO=proto).META
    assert meta.get("wsgi.url_scheme", "http") == scheme


FORWARDED = [  # Forwarded, the client's address and scheme
    (f"for={CLIENT};proto=https", CLIENT, "https"),
    (f'For="{CLIENT}:4711"; Proto="https"; host=example.mn', CLIENT, "https"),
    ('for="[2001:db8::1]:443";proto=https', "2001:db8::1", "https"),
    (f"for={SPOOF};proto=https, for={CLIENT};proto=http", CLIENT, "http"),
    (f"for={CLIENT};proto=https, for=10.0.0.2;proto=http", CLIENT, "https"),
    (f'by="a,b;c";for={CLIENT}', CLIENT, "http"),
    ("for=unknown;proto=https", "10.0.0.1", "https"),
    ('for="' * 1000, "10.0.0.1", "http"),
]


@pytest.mark.parametrize(("header", "client", "scheme"), FORWARDED, ids=range(len(FORWARDED)))
def test_forwarded_is_read_when_a_proxy_writes_no_other_header(settings, header, client, scheme):
    settings.TRUSTED_PROXIES = INSIDE
    meta = seen("10.0.0.1", "", HTTP_FORWARDED=header).META
    assert (meta["REMOTE_ADDR"], meta.get("wsgi.url_scheme", "http")) == (client, scheme)
    both = seen("10.0.0.1", "198.51.100.9", HTTP_FORWARDED=header).META
    assert (both["REMOTE_ADDR"], both.get("wsgi.url_scheme", "http")) == ("198.51.100.9", "http")
    assert seen(CLIENT, "", HTTP_FORWARDED=f"for={SPOOF};proto=https").META["REMOTE_ADDR"] == CLIENT


@pytest.mark.parametrize("words", [["0.0.0.0/0"], ["::/0"], ["10.0.0.1/8"], ["proxy"], ["10.0.0.0/8", "x"], [""]])
def test_networks_that_are_none_or_everybodys_stop_the_start(words):
    with pytest.raises(ValidationError):
        env_validators.are_networks(words)


def test_networks_addresses_and_the_socket_may_be_named():
    env_validators.are_networks([*INSIDE, "unix"])
    assert middleware.parse_networks(["unix", "10.0.0.0/8"]) == ([ipaddress.ip_network("10.0.0.0/8")], True)


def test_a_check_speaks_up_when_an_https_site_names_no_proxy(settings):
    settings.SITE_URL, settings.TRUSTED_PROXIES = "https://example.mn", []
    assert [found.id for found in checks.check_trusted_proxies(None)] == ["notifier.W001"]
    settings.TRUSTED_PROXIES = ["unix"]
    assert checks.check_trusted_proxies(None) == []


def test_a_check_speaks_up_when_another_middleware_runs_first(settings):
    assert checks.check_middleware_order(None) == []
    settings.MIDDLEWARE = settings.MIDDLEWARE[::-1]
    assert [found.id for found in checks.check_middleware_order(None)] == ["notifier.W002"]


@pytest.mark.django_db
def test_staff_can_see_which_address_the_site_sees_and_no_other_user_can(client, admin_client, settings):
    assert client.get("/admin/address/").status_code == 302
    page = admin_client.get("/admin/address/", headers={"x-forwarded-for": "<b>6.6.6.6"}).content.decode()
    assert '<strong id="seen">127.0.0.1</strong>' in page
    assert "&lt;b&gt;6.6.6.6" in page


def seen(peer, forwarded, **more):
    request = HttpRequest()
    request.META = {"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": forwarded, "wsgi.url_scheme": "http", **more}
    middleware.trusted_proxies(lambda _request: HttpResponse())(request)
    return request
