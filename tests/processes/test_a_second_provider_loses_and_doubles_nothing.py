"""Two mail servers and a real cluster: whatever the first does, each notice is taken by one of the two, and once."""

from collections import Counter

import pytest

from tests.support.machine import eventually
from tests.support.queues import clusters_of, enqueue, sent, statuses
from tests.support.site import Site
from tests.support.smtp_server import SmtpServer

NUMBER = 30
QUOTA = "550 5.4.5 Daily user sending limit exceeded"


@pytest.fixture
def servers():
    pair = SmtpServer(pipelining=True), SmtpServer()
    for server in pair:
        server.start()
    yield pair
    for server in pair:
        if server.server is not None:
            server.stop()


def site_with(servers, **more):
    first, second = servers
    urls = {"EMAIL_PORT": str(first.port), "EMAIL_FALLBACK_URL": f"smtp://127.0.0.1:{second.port}?tls=no"}
    return Site(**urls, EMAIL_TIMEOUT="2", **more)


def jobs(kind, number=NUMBER):
    return [f"{kind}-{count}" for count in range(number)]


def out_of_use(site):
    return site.sql("SELECT provider FROM jobs_providerstate WHERE breaker_opened_at IS NOT NULL")


@pytest.mark.parametrize("fault", ["dead", "silent", "relay denied", "wrong password", "over its quota"])
def test_every_notice_leaves_once_and_the_first_is_used_again_when_it_is_well(servers, fault):
    first, second = servers
    login = {"EMAIL_HOST_USER": "site", "EMAIL_HOST_PASSWORD": "wrong"} if fault == "wrong password" else {}
    with site_with(servers, **login) as site, clusters_of(site) as start:
        match fault:
            case "dead":
                first.stop()
            case "silent":
                first.behave(at="CONNECT", hang=True)
            case "relay denied":
                first.behave(at="RCPT", answer="554 5.7.1 <bat@example.mn>: Relay access denied")
            case "wrong password":
                first.behave(login="site:right")
            case "over its quota":
                first.behave(at="MAIL", answer=QUOTA)
        start()
        enqueue(site, *jobs("during"))
        eventually(lambda: statuses(site) == {"completed": NUMBER}, seconds=60)
        assert (len(first.mails), set(sent(second).values()), len(sent(second))) == (0, {1}, NUMBER)
        assert out_of_use(site) == [(f"127.0.0.1:{first.port}",)]
        assert site.sql("SELECT count(*) FROM job_attempts") == [(0,)], "no attempt was lost"

        first.behave(**({"login": "site:wrong"} if login else {}))
        if fault == "dead":
            first.start()
        site.sql("UPDATE jobs_providerstate SET probe_at = now()")  # a quota's time is up
        eventually(lambda: not out_of_use(site), seconds=60)
        enqueue(site, *jobs("after"))
        eventually(lambda: statuses(site) == {"completed": 2 * NUMBER}, seconds=60)
    assert set((sent(first) + sent(second)).values()) == {1}
    assert {message_id.partition("-")[0].strip("<") for message_id in sent(first)} == {"after"}


@pytest.mark.parametrize("taken", [True, False], ids=["taken", "lost"])
def test_an_email_that_was_cut_off_after_its_content_waits_for_the_server_that_may_have_it(servers, taken):
    """The first server dies at the end of the content, for good: with the email, or without it."""
    first, second = servers
    with site_with(servers) as site, clusters_of(site) as start:
        first.behave(at="DATA", die=True, answer="" if taken else "550 never said")
        start()
        enqueue(site, *jobs("cut", 10))
        eventually(lambda: site.sql("SELECT 1 FROM job_attempts"), seconds=60)
        first.stop()
        eventually(lambda: site.sql("SELECT count(*) FROM job_logs WHERE error_class <> ''")[0][0], seconds=60)
        enqueue(site, *jobs("other", 10))
        bound = "SELECT count(*) FROM job_logs WHERE bound_to <> '' AND status = 'failed'"
        eventually(lambda: statuses(site)["completed"] + site.sql(bound)[0][0] == 20, seconds=60)
        cut = site.sql(bound)[0][0]
        assert 1 <= cut <= 10
        assert set(sent(second)).isdisjoint(sent(first)), "no Message-ID is at both"
        assert (len(sent(second)), set(sent(second).values())) == (20 - cut, {1})

        first.behave()
        first.start()
        site.sql("UPDATE job_logs SET run_at = now() WHERE status = 'failed'")  # instead of a minute's wait
        eventually(lambda: statuses(site) == {"completed": 20}, seconds=60)
    at_both = set(sent(first)) & set(sent(second))
    everything = Counter([*sent(first), *sent(second)])
    assert (at_both, len(everything)) == (set(), 20)
