"""The WSGI application: `gunicorn notifier.wsgi`."""

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.urls import resolve

from notifier.web import waits

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "notifier.settings")
application = waits.bounded(get_wsgi_application())
resolve("/healthz")  # loads every view: otherwise the first request would do so
if settings.SQLITE:  # PostgreSQL's engine limits the waits of each request
    settings.DATABASES["default"]["OPTIONS"]["timeout"] = waits.SQLITE_SECONDS
