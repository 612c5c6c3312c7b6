"""The site's settings, overridden by those of one contender (BENCH_CONTENDER)."""

import os

from benchmarks.contenders import named
from notifier.settings import *  # noqa: F403
from notifier.settings import DATABASES
from notifier.settings import INSTALLED_APPS as SITE_APPS

contender = named(os.environ["BENCH_CONTENDER"])
BENCH_REDIS = os.environ["BENCH_REDIS"]
INSTALLED_APPS = [*contender.apps, *(app for app in SITE_APPS if app not in contender.apps)]
globals().update(contender.settings)
if contender.engine:
    DATABASES["default"]["ENGINE"] = contender.engine
    SILENCED_SYSTEM_CHECKS = ["notifier.E004"]  # our own check of our engine
if "BENCH_URLS" in os.environ:  # benchmarks/api.py
    ROOT_URLCONF = os.environ["BENCH_URLS"]
    # Content-Length of responses; and the one that allauth demands
    MIDDLEWARE = ["django.middleware.common.CommonMiddleware", "allauth.account.middleware.AccountMiddleware"]
