"""`systemctl reload notifier-web` is a SIGHUP: new processes with today's settings, and no request is refused."""

import signal

import pytest

from tests.support.live_site import LiveSite
from tests.support.machine import eventually

pytestmark = pytest.mark.django_db(transaction=True)


def test_what_a_reload_starts_has_the_settings_of_now(tmp_path):
    settings = tmp_path / "settings.env"
    settings.write_text("SITE_NAME=Before\n")
    with LiveSite(ENV_FILE=str(settings), workers=1) as site:

        def page() -> str:
            answer = site.call("GET", "/accounts/login/")
            assert answer.status == 200
            return answer.raw.decode()

        assert "Before" in page()
        settings.write_text("SITE_NAME=After\n")
        site.processes[0].send_signal(signal.SIGHUP)
        eventually(lambda: "After" in page())
