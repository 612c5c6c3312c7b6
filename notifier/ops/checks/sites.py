"""Checks of the sites whose users get notices: what is missing in a site, and whether its links lead here."""

from django.conf import settings
from django.db.models import Q
from django.http.request import validate_host
from django.urls import reverse

from accounts.sites.site import Site
from notifier.ops import dns_records
from notifier.ops.checks.findings import Finding, Findings, Verdict

NEEDED = {"url": "URL", "support_email": "support address", "sender": "sender"}
MOST_SITES = 100  # whose values or links are checked in one run


def check_sites() -> Findings:
    """Name each site without a URL, a support address or a sender: its emails say less than they could."""
    missing = Q(*[(name, "") for name in NEEDED], _connector=Q.OR)
    incomplete = list(Site.objects.others().filter(missing)[:MOST_SITES])
    for site in incomplete:
        without = ", ".join(text for name, text in NEEDED.items() if not getattr(site, name))
        page = f"{settings.SITE_URL.rstrip('/')}{reverse('admin:accounts_site_change', args=[site.pk])}"
        yield Finding("sites", Verdict.WARNING, f"{site.slug} has no {without}", f"fill the fields at {page}")
    if not incomplete and (count := Site.objects.others().count()):
        yield Finding("sites", Verdict.OK, f"{count} site(s) with URL, support address and sender")


def check_link_hosts() -> Findings:
    """Check that the host of each site's links leads here: its name resolves, and ALLOWED_HOSTS has it."""
    for site in list(Site.objects.others().exclude(link_host="")[:MOST_SITES]):
        yield _check_link_host(site)


def _check_link_host(site: Site) -> Finding:
    host = site.link_host
    links = f"the links in emails of {site.slug} lead to {host}"
    if not validate_host(host.lower(), settings.ALLOWED_HOSTS):
        message = f"{links}, which is not in ALLOWED_HOSTS: they get an error"
        return Finding("link host", Verdict.FAULT, message, f"add {host} to ALLOWED_HOSTS and restart the site")
    match dns_records.resolves(host):
        case True:
            return Finding("link host", Verdict.OK, f"{host} of {site.slug} has an address")
        case False:
            message = f"{links}, which has no address in the DNS"
            return Finding("link host", Verdict.FAULT, message, f"ask the site for a CNAME record to {_own_host()}")
    return Finding("link host", Verdict.UNKNOWN, f"{host} of {site.slug} was not checked: the DNS does not reply")


def _own_host() -> str:
    return settings.SITE_URL.partition("://")[2].partition("/")[0].partition(":")[0]
