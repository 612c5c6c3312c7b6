"""The rule about the database itself, which no row of the database can hold."""

from django.utils.translation import gettext_lazy as _

from jobs.alerts.rules import PAGE, Rule

DATABASE_AWAY = Rule(
    "NotifierDown",
    'up{job="notifier"} == 0',
    60,
    PAGE,
    _("The database does not answer. Sign-ins and the API fail; notices wait."),
    _("Request /readyz; repair PostgreSQL. Nothing needs a restart afterwards."),
    lambda _readings: [],  # readings come from a database that answers
)
