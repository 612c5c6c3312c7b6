"""Checks of the settings and of this machine."""

import shutil
import time
from pathlib import Path

import maxminddb
from django.conf import settings
from django.core import checks
from django.utils.translation import gettext_noop as _

from notifier.ops import static_files
from notifier.ops.checks.findings import Finding, Findings, Text, Verdict

REPORTED_ELSEWHERE = {
    "notifier.W001",
    "notifier.W003",
    "security.W004",
    "security.W008",
    "security.W012",
    "security.W016",
}
"""System checks whose cause `check_https`, `check_proxy` and `check_static_files` report."""
ACTIONS = {
    "security.W009": "set SECRET_KEY to 50 random characters (docs/settings.md); all users must sign in again",
    "security.W018": "set DEBUG=0",
}
MIN_FREE_MB = 100
MAX_COUNTRIES_AGE_DAYS = 366


def check_settings() -> Findings:
    """Run Django's system checks, those of a deployment included."""
    messages = [found for found in checks.run_checks(include_deployment_checks=True) if not found.is_silenced()]
    serious = [found for found in messages if found.level >= checks.WARNING and found.id not in REPORTED_ELSEWHERE]
    for found in serious:
        verdict = Verdict.FAULT if found.level >= checks.ERROR else Verdict.WARNING
        first_sentence = " ".join(str(found.msg).split()).partition(". ")[0].removesuffix(".")
        action = ACTIONS.get(str(found.id)) or str(found.hint or "see docs/settings.md")
        yield Finding("settings", verdict, f"{found.id}: {first_sentence}", " ".join(action.split()))
    if not serious:
        yield Finding("settings", Verdict.OK, "complete and consistent")


def check_https() -> Findings:
    """Check that pages, cookies and HSTS are those of https."""
    if settings.SITE_URL.startswith("https://"):
        yield Finding("https", Verdict.OK, "cookies are secure, http is redirected, HSTS is on")
    else:
        message = Text(_("SITE_URL is http: passwords and cookies are sent in plain text, and HSTS is off"))
        action = Text(_("set SITE_URL=https://..., behind a proxy with a certificate"))
        yield Finding("https", Verdict.WARNING, message, action)


def check_proxy() -> Findings:
    """Check that the proxy in front of an https site is named."""
    if settings.SITE_URL.startswith("https://") and not settings.TRUSTED_PROXIES:
        message = Text(
            _("SITE_URL is https and TRUSTED_PROXIES is empty: every sign-in would show the proxy's address")
        )
        action = Text(_("set TRUSTED_PROXIES=127.0.0.1/32, or your proxy's network"))
        yield Finding("proxy", Verdict.WARNING, message, action)
    else:
        yield Finding("proxy", Verdict.OK, f"{len(settings.TRUSTED_PROXIES)} proxy networks are trusted")


def check_static_files() -> Findings:
    """Compare the collected static files with those that the apps have."""
    if missing := static_files.count_missing():
        action = "run manage.py collectstatic with the same VAR_DIR, then restart the site"
        yield Finding("static files", Verdict.WARNING, static_files.describe_missing(missing), action)
    else:
        yield Finding("static files", Verdict.OK, "are collected")


def check_disk() -> Findings:
    """Check the free space of VAR_DIR."""
    folder = next(each for each in (settings.VAR_DIR, *Path(settings.VAR_DIR).parents) if each.exists())
    free = shutil.disk_usage(folder).free // 1_000_000
    if free < MIN_FREE_MB:
        message = f"the disk of VAR_DIR ({settings.VAR_DIR}) is full: {free} MB are free"
        yield Finding("disk", Verdict.FAULT, message, "free some space, or set VAR_DIR to another disk")
    else:
        yield Finding("disk", Verdict.OK, f"{free} MB are free in VAR_DIR")


def check_countries() -> Findings:
    """Open the country database that GEOIP_PATH names. Yields nothing without the setting."""
    path = settings.GEOIP_PATH
    if not path:
        return
    try:
        with maxminddb.open_database(path) as reader:
            days = (time.time() - reader.metadata().build_epoch) / 86_400
    except (OSError, ValueError, maxminddb.InvalidDatabaseError) as broken:
        message = f"GEOIP_PATH ({path}) cannot be read ({type(broken).__name__}): emails name no country"
        yield Finding("countries", Verdict.WARNING, message, "put a country database (.mmdb) there, or unset it")
        return
    if days > MAX_COUNTRIES_AGE_DAYS:
        message = f"the country database is {days / 365:.0f} years old: emails may name wrong countries"
        yield Finding("countries", Verdict.WARNING, message, f"replace {path} by a new one")
    else:
        yield Finding("countries", Verdict.OK, f"the country database is {days:.0f} days old")
