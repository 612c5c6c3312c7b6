"""The overview's figures lead to the jobs that they count; what other apps add to it; a fresh installation is calm."""

import re
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from accounts.mail.providers.configured import configured
from jobs.admin.panels import latest
from jobs.cluster import clusters
from jobs.core import counters, leases, pauses, sql
from jobs.core.job import JobLog, Reason, Status
from jobs.stats import minutes
from tests.support.operators import EVERYTHING, LIST, job, signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def now():
    leases.acquire("rollups", 0)
    return sql.now()


def a_cluster(name="host:1", version="1.0", **fields):
    clusters.record_heartbeat(name, in_flight=0, restarts=0, workers=2, version=version)
    clusters.Cluster.objects.filter(name=name).update(**fields)


def some_jobs():
    """Jobs of two sites, in every outcome."""
    for number in range(3):
        job(f"sent-{number}", Status.COMPLETED, source="shop", payload={"email": f"a{number}@example.mn"})
    job("here", Status.COMPLETED, payload={"email": "B@Example.MN"})
    job("waits", Status.ENQUEUED, payload={"email": "c@other.example"})
    job("dead", payload={"email": "d@other.example"})
    job("suppressed", dlq_reason="suppressed", payload={"email": "e@other.example"})
    job("thrown", Status.DISCARDED, lane="urgent", payload={"email": "f@third.example"})


def listed(client, query):
    return len(client.get(f"{LIST}?{query}").context["rows"])


def test_each_tile_leads_to_a_page():
    client = signed_in(*EVERYTHING)
    a_cluster()
    some_jobs()
    for tile in client.get("/admin/").context["tiles"]:
        assert client.get(tile["link"]).status_code == 200, tile


def test_the_numbers_by_site_type_and_lane_are_those_of_the_lists_that_they_lead_to():
    client = signed_in(*EVERYTHING)
    some_jobs()
    found = client.get("/admin/").context["latest"]
    tables = {table.name: {str(line.name): line for line in table.lines} for table in found.tables()}
    assert {name: line.total for name, line in tables["sites"].items()} == {"this site": 5, "shop": 3}
    assert {name: line.total for name, line in tables["types"].items()} == {"signin-notification": 8}
    assert {name: line.total for name, line in tables["lanes"].items()} == {"default": 7, "urgent": 1}
    for lines in tables.values():
        for line in lines.values():
            assert listed(client, line.link) == line.total
            for cell in line.cells:
                assert not cell.link or "dlq" in cell.link or listed(client, cell.link) == cell.count


def test_the_emails_are_counted_by_outcome():
    client = signed_in(*EVERYTHING)
    some_jobs()
    job("an event", Status.COMPLETED, job_type="event")
    outcomes = client.get("/admin/").context["latest"].outcomes()
    assert [cell.count for _label, cell in outcomes] == [4, 1, 1, 1, 1]


@pytest.mark.engine
def test_a_job_of_each_status_and_reason_has_exactly_one_outcome(now):
    pairs = [(status, reason) for status in Status for reason in ("", *Reason)]
    for number, (status, reason) in enumerate(pairs):
        job(str(number), status, dlq_reason=reason)
    counts = [JobLog.objects.filter(condition).count() for condition in latest.CONDITIONS.values()]
    assert sum(counts) == len(pairs)
    assert list(latest.CONDITIONS) == list(latest.OUTCOMES)
    found = dict.fromkeys(latest.OUTCOMES, 0)
    for group in latest.load("1h", now).groups:
        found[group.outcome] += group.count
    assert list(found.values()) == counts


def test_only_the_latest_jobs_of_the_time_are_read(monkeypatch, now):
    client = signed_in(*EVERYTHING)
    some_jobs()
    job("old", Status.COMPLETED, created_at=now - timedelta(hours=2))
    assert client.get("/admin/?span=1h").context["latest"].count == 8
    assert client.get("/admin/?span=24h").context["latest"].count == 9
    monkeypatch.setattr(latest, "MOST", 4)
    page = client.get("/admin/?span=24h")
    assert page.context["latest"].count == 4
    assert "the latest 4" in page.content.decode()


def test_a_type_that_this_version_has_not_is_counted_without_a_link():
    client = signed_in(*EVERYTHING)
    job("of the past", Status.COMPLETED, job_type="no-such-type")
    [line] = client.get("/admin/").context["latest"].tables()[1].lines
    assert (line.total, line.link, {cell.link for cell in line.cells}) == (1, "", {""})


@pytest.mark.engine
def test_the_emails_are_counted_by_receiving_domain_in_any_case():
    client = signed_in(*EVERYTHING)
    some_jobs()
    job("without", Status.COMPLETED, payload={})
    panels = {panel.template: panel.data for panel in client.get("/admin/").context["panels"]}
    lines = panels["admin/accounts/panels/domains.html"]["lines"]
    assert [(line.name, line.total, [cell.count for cell in line.cells]) for line in lines] == [
        ("example.mn", 4, [4, 0, 0, 0, 0]),
        ("other.example", 3, [0, 1, 1, 1, 0]),
        ("third.example", 1, [0, 0, 0, 0, 1]),
    ]


def test_the_mail_providers_are_shown_with_their_state_and_their_emails():
    client, name = signed_in(*EVERYTHING), configured()[0].name
    job("a", Status.COMPLETED)
    counted = [counters.Count("mails", ("accepted", name))] * 3 + [counters.Count("mails", ("temporary", name))]
    counters.add(counters.sums((count, 0.0) for count in counted))
    counters.add(counters.sums([(counters.Count("mails", ("accepted", "former:25")), 0.0)]))
    for address in ("/admin/", "/admin/jobs/jobtypestate/"):
        panels = {panel.template: panel.data for panel in client.get(address).context["panels"]}
        ours, former = panels["admin/accounts/panels/providers.html"]["lines"]
        assert (ours.name, ours.state, ours.accepted, ours.refused, ours.share) == (name, "in use", 3, 1, "75.0 %")
        assert (former.name, former.state) == ("former:25", "no longer in the settings")
    pauses.open_provider(name, "configuration", "535 bat@example.mn refused", 0)
    shown = client.get("/admin/jobs/jobtypestate/").content.decode()
    assert "out of use, since" in shown
    assert "bat@example.mn" not in shown


def test_the_medians_are_named(now):
    client = signed_in(*EVERYTHING)
    a_cluster()
    begun = now - timedelta(seconds=3)
    job("a", Status.COMPLETED, created_at=begun, run_at=begun, processing_at=begun, processed_at=now)
    minutes.count_new_minutes(now)
    page = client.get("/admin/")
    tiles = {str(tile["name"]): tile["value"] for tile in page.context["tiles"]}
    assert tiles["Median run time"] == "3.75 s", "interpolated between the bounds of 2.5 and 5 s"
    assert "Median wait for a worker" in tiles
    assert "median (half within)" in page.content.decode()


def test_the_bars_lead_to_the_jobs_of_their_time(now):
    client = signed_in(*EVERYTHING)
    at = minutes.floor(now) - timedelta(minutes=10)
    job("a", Status.COMPLETED, created_at=at, run_at=at, processing_at=at, processed_at=at)
    minutes.count_new_minutes(now)
    shown = client.get("/admin/").content.decode()
    [link] = set(re.findall(r'href="/admin/jobs/joblog/\?(status=completed&amp;after=[^"]*)"', shown))
    query = link.replace("&amp;", "&")
    assert set(parse_qs(urlsplit(f"?{query}").query)) == {"status", "after", "before"}
    assert listed(client, query) == 1


def test_the_last_deployment_is_marked(now):
    client = signed_in(*EVERYTHING)
    a_cluster("old:1", "1.0", started_at=now - timedelta(hours=5), stopped_at=now - timedelta(minutes=20))
    a_cluster("new:1", "1.1", started_at=now - timedelta(minutes=20))
    a_cluster("new:2", "1.1", started_at=now - timedelta(minutes=2))
    page = client.get("/admin/?span=1h")
    deploy = page.context["deploy"]
    assert (deploy.version, deploy.replaced) == ("1.1", True)
    assert abs(deploy.at - (now - timedelta(minutes=20))) < timedelta(seconds=1)
    assert "Version 1.1 was deployed at" in page.content.decode()
    for chart in page.context["charts"]:
        assert [row["mark"] for row in chart["rows"] if row["mark"]] == ["1.1"]
    clusters.Cluster.objects.filter(version="1.0").delete()
    assert "Version 1.1 has run since" in client.get("/admin/").content.decode()


def test_nothing_is_red_on_a_fresh_installation_and_a_dead_worker_is():
    client = signed_in(*EVERYTHING)
    job("first", Status.ENQUEUED)
    JobLog.objects.update(run_at=Now() - timedelta(hours=1))
    page = client.get("/admin/")
    assert [tile["name"] for tile in page.context["tiles"] if tile.get("bad")] == []
    assert [(warning.what, warning.grave) for warning in page.context["warnings"]] == [
        ("No worker has run here yet.", False)
    ]
    shown = client.get(LIST).content.decode()
    assert 'class="health soon"' in shown
    assert 'class="warning grave"' not in shown
    a_cluster(stopped_at=Now())
    page = client.get("/admin/")
    assert [str(tile["name"]) for tile in page.context["tiles"] if tile.get("bad")] == ["Clusters alive", "Waiting"]
    assert page.context["warnings"][0].grave
    shown = client.get(LIST).content.decode()
    assert 'class="health bad"' in shown
    assert 'class="warning grave"' in shown


@pytest.mark.parametrize("address", [LIST, "/admin/", "/admin/jobs/jobtypestate/", "/admin/jobs/cluster/"])
def test_the_bar_and_the_page_ask_for_the_state_once(address):
    client = signed_in(*EVERYTHING)
    a_cluster()
    pauses.pause("signin-notification", who="saraa", why="a test")
    with CaptureQueriesContext(connection) as captured:
        client.get(address)
    tables = re.compile('FROM "jobs_(cluster|jobtypestate|lanestate)"')
    asked = [query["sql"] for query in captured if tables.search(query["sql"]) and "job_logs" not in query["sql"]]
    assert asked
    assert len(asked) == len(set(asked)), sorted(query for query in set(asked) if asked.count(query) > 1)


def test_the_tables_of_django_are_in_the_corner():
    client = signed_in(*EVERYTHING)
    shown = client.get(LIST).content.decode()
    assert '<a class="corner" href="/admin/tables/">All tables</a>' in shown
    tables = client.get("/admin/tables/").content.decode()
    assert "/admin/jobs/bulkreplay/" in tables
    assert 'id="tiles"' not in tables
    assert "/admin/jobs/bulkreplay/" not in client.get("/admin/").content.decode().partition('id="content')[2]


def test_the_main_pages_are_in_the_order_of_tasks():
    every = ("accounts.view_user", "accounts.view_site", "view_schedulestate")
    shown = signed_in(*EVERYTHING, *every).get("/admin/").content.decode()
    names = re.findall(r'data-go="\w"[^>]*>([^<]*)<', shown)
    assert names == [
        *("Overview", "Jobs", "Dead letters", "People", "Sites"),
        *("Sending", "Schedules", "Workers", "Alerts", "Audit"),
    ]
