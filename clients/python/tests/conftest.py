"""Sets Django up before the tests of its app are imported."""

import os

import django
from django.test.utils import setup_test_environment

os.environ["DJANGO_SETTINGS_MODULE"] = "django_settings"
django.setup()
setup_test_environment()
