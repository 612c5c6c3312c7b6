"""What gunicorn's worker and the application both know of a request. Imports nothing, for notifier/web/worker.py."""

ARRIVED = "NOTIFIER_ARRIVED"  # in the WSGI environment: time.monotonic() at which the request arrived
PROGRAMS = ("/api/", "/anymail/")  # the paths of requests that are sent again after a 503
