"""The WSGI application: `gunicorn notifier.wsgi`."""

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.urls import resolve

from accounts.mail.user_agents import parse_families
from notifier.web import waits

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "notifier.settings")
application = waits.bounded(get_wsgi_application())
# What the first requests would do, before this process accepts any. Compiling the patterns of user agents keeps the
# interpreter's lock for 80 ms and more at a time, in which no other thread answers.
resolve("/healthz")  # loads every view
parse_families("")
if settings.SQLITE:  # PostgreSQL's engine limits the waits of each request
    settings.DATABASES["default"]["OPTIONS"]["timeout"] = waits.SQLITE_SECONDS
