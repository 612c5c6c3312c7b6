"""A project as `startproject` makes it, with the app and the settings of one contender (BENCH_CONTENDER)."""

import os

import dj_database_url

from benchmarks.tasks.contenders import named

contender = named(os.environ["BENCH_CONTENDER"])
SECRET_KEY = os.environ["SECRET_KEY"]
DATABASES = {"default": dj_database_url.parse(os.environ["DATABASE_URL"], conn_max_age=60)}
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", *contender.apps]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
globals().update(contender.settings)
