"""The overview, the lists with their filters, and the first steps in Chromium: axe, widths, refresh, bars."""

import os
from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import Permission

from accounts.user import User
from jobs.cluster import clusters
from jobs.core import sql
from jobs.core.job import JobLog, Status
from jobs.stats import minutes
from tests.browser.test_the_operator_works_in_a_browser import chromium, open_page  # noqa: F401  (fixtures)
from tests.support.operators import LIST, job, tried

pytestmark = pytest.mark.django_db(transaction=True)


def filled(*, steps=False):
    """A busy queue; with `steps`, the operator is a superuser, who sees the first steps."""
    now = sql.now()
    user = User.objects.create_user("bat", first_name="Бат-Эрдэнэ", last_name="Дорж")
    for number in range(40):
        at = now - timedelta(minutes=number)
        done = {"created_at": at, "run_at": at, "processing_at": at, "processed_at": at}
        payload = {"email": f"a{number}@mail{number % 3}.example", "name": "Anna Smith"}
        job(
            f"signin-{number}-{'x' * 30}",
            Status.COMPLETED,
            source=("signal", "shop")[number % 2],
            payload=payload,
            **done,
        )
    dead = job("signin-dead", user_id=str(user.pk), error="451 4.3.0 Temporary lookup failure " * 4)
    tried(dead, 1, ended_at=now)
    job("signin-late", Status.FAILED, user_id=str(user.pk))
    for name, version, ago in (("old:1:a", "1.0.0", 300), ("web1:1:b", "1.1.0", 20)):
        clusters.record_heartbeat(name, in_flight=1, restarts=0, workers=2, version=version)
        clusters.Cluster.objects.filter(name=name).update(started_at=now - timedelta(minutes=ago))
    clusters.mark_stopped("old:1:a")
    minutes.count_new_minutes(now)
    saraa = User.objects.filter(username="saraa")
    saraa.update(is_superuser=steps)
    saraa.get().user_permissions.add(*Permission.objects.filter(content_type__app_label="accounts"))


def look(page, name):
    """Axe finds nothing, the page fits its screen; with SCREENSHOTS there is a picture of it."""
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)
    found = Axe().run(page, options={"iframes": False}).response["violations"]
    assert [(name, one["id"], one["nodes"][0]["target"]) for one in found] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name


@pytest.mark.timeout(300)  # a dozen pages with axe
@pytest.mark.parametrize(("width", "scheme", "language"), [(1440, "light", "en"), (390, "dark", "mn")])
def test_the_pages_are_accessible_and_fit(open_page, width, scheme, language):  # noqa: F811
    page = open_page(width, scheme, language)
    filled(steps=True)
    pages = {
        "overview": "/admin/",
        "jobs": f"{LIST}?status=all&source=shop&within=24h&order=oldest",
        "no-match": f"{LIST}?status=discarded&source=shop",
        "dead": f"{LIST}dead-letters/?within=24h&reason=exhausted",
        "sending": "/admin/jobs/jobtypestate/",
        "tables": "/admin/tables/",
    }
    for name, address in pages.items():
        page.goto(address, wait_until="networkidle")
        look(page, f"{name}-{width}-{language}")
    assert page.complaints == []


def test_a_filter_is_removed_by_its_chip_and_the_refresh_paused_by_its_button(open_page):  # noqa: F811
    page = open_page(1440)
    filled()
    page.goto(f"{LIST}?status=all&source=shop&order=oldest")
    page.get_by_role("link", name="Source: shop").click()
    page.wait_for_url("**/?status=all&order=oldest")
    toggle = page.locator("#live-toggle")
    assert toggle.inner_text() == "Pause live refresh"
    toggle.click()
    page.goto(f"{LIST}?status=all")
    assert toggle.inner_text() == "Resume live refresh", "remembered on the next page"
    job("newest", Status.COMPLETED)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_timeout(500)
    assert page.get_by_text("newest", exact=True).count() == 0
    toggle.click()
    page.get_by_text("newest", exact=True).wait_for()
    assert page.complaints == []


def test_rows_that_are_chosen_stay_when_the_page_is_refreshed(open_page):  # noqa: F811
    page = open_page(1440)
    filled()
    page.goto(f"{LIST}?status=dlq")
    page.locator("[name=_selected_action]").first.check()
    JobLog.objects.filter(status=Status.DLQ).update(status=Status.DISCARDED)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_timeout(700)
    assert page.locator("[name=_selected_action]:checked").count() == 1
    page.locator("[name=_selected_action]").first.uncheck()
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.get_by_text("No job matches.").wait_for()


def test_a_bar_and_a_tile_lead_to_their_jobs(open_page):  # noqa: F811
    page = open_page(1440)
    filled()
    page.goto("/admin/", wait_until="networkidle")
    canvas = page.locator("canvas[data-table=table-done]")
    bar = canvas.evaluate(
        "canvas => { const bars = Chart.getChart(canvas).getDatasetMeta(0).data;"
        " const at = bars.findLastIndex((one) => one.height > 3);"
        " return [bars[at].x, bars[at].y + bars[at].height / 2]; }"
    )
    canvas.click(position={"x": bar[0], "y": bar[1]})
    page.wait_for_url("**/joblog/?status=completed&after=*")
    page.goto("/admin/")
    page.locator("#tiles > div", has_text="Clusters alive").click()
    page.wait_for_url("**/jobs/cluster/")
    assert page.complaints == []


def test_a_phone_loads_the_chart_library_when_a_chart_comes_near(open_page):  # noqa: F811
    page = open_page(390)
    filled(steps=True)
    page.goto("/admin/", wait_until="networkidle")
    assert page.evaluate("typeof Chart") == "undefined"
    with page.expect_response("**/vendor/chart*"):
        page.locator("canvas[data-table=table-done]").scroll_into_view_if_needed()
    page.wait_for_load_state("networkidle")
    assert page.evaluate("Boolean(Chart.getChart(document.querySelector('canvas')))")
    assert page.complaints == []


def test_without_a_script_the_lists_and_filters_work_and_nothing_refreshes(chromium, live_server, open_page):  # noqa: F811
    cookies = open_page().context.cookies()
    filled()
    window = chromium.new_context(java_script_enabled=False, base_url=live_server.url, locale="en")
    window.add_cookies(cookies)
    page = window.new_page()
    page.goto(f"{LIST}?status=all")
    assert not page.locator("#live-toggle").is_visible()
    assert page.locator("#counted").inner_text().startswith("as of ")
    page.locator("details.filters summary").click()
    page.locator("#filter-q").fill("signin-dead")
    page.locator("details.filters button").click()
    page.wait_for_url("**/?status=all&q=signin-dead")
    assert page.locator("#result_list tbody tr").count() == 1
