"""gunicorn's log without its access lines: notifier/request_logging.py logs each request."""

from typing import Any

from gunicorn import glogging


class QuietLog(glogging.Logger):
    """The logger class of gunicorn.conf.py."""

    def access(self, resp: Any, req: Any, environ: Any, request_time: Any) -> None:
        """Skip what gunicorn collects for a line whenever it has `logconfig_dict`, even without `accesslog`."""
