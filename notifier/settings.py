"""All settings, read from the environment and `.env`. docs/settings.md lists them.

Every value is checked here. One message names everything that is missing or wrong before anything starts.
"""

import os
from email.utils import parseaddr
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import django
from csp.constants import NONE, SELF
from django import VERSION
from django.core.exceptions import ImproperlyConfigured
from environs import EnvValidationError

from jobs.conf import QueueSettings as Queue
from notifier import env_validators as check
from notifier import mail_services
from notifier.environment import languages, unsupported
from notifier.environment.secret_files import SecretFileEnv
from notifier.log_config import logging_config

BASE_DIR = Path(__file__).resolve().parent.parent

env = SecretFileEnv(eager=False)  # a secret NAME may be given as NAME_FILE
env.read_env(env.str("ENV_FILE", str(BASE_DIR / ".env"), validate=check.is_file), recurse=False)
env.add_parser("flag", check.parse_flag)
env.add_parser("database", check.parse_database_url)
env.add_parser("mail_server", mail_services.parse_url)
env.add_parser("names", languages.parse_names)
DEBUG: bool = bool(env.flag("DEBUG", False))


def demo(value: Any) -> Any:
    """Return a default that only DEBUG has. Otherwise the setting is required (environs' `...`)."""
    return value if DEBUG else ...


def cookie_name(name: str) -> str:
    """Return the name of a cookie of this site: with its port, if SITE_URL has one, and `__Host-` with https."""
    port = f"_{site_url.port}" if site_url.port else ""
    return f"__Host-{name}{port}" if site_url.scheme == "https" else f"{name}{port}"


# --- the site -----------------------------------------------------------------------------------------
SECRET_KEY = env.str("SECRET_KEY", demo("only-for-development-with-DEBUG-on"), validate=check.is_given)
SECRET_KEY_FALLBACKS: list[str] = env.list("SECRET_KEY_FALLBACKS", [], validate=check.are_keys)
ENCRYPTION_KEY = env.str("ENCRYPTION_KEY", "", validate=check.is_long_key_if_given)  # without it SECRET_KEY
ENCRYPTION_KEY_FALLBACKS: list[str] = env.list("ENCRYPTION_KEY_FALLBACKS", [], validate=check.are_keys)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", demo(["localhost", "127.0.0.1", "[::1]"]))
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", [])
SITE_NAME = env.str("SITE_NAME", "Yellow Books")
HOST = env.str("HOST", "127.0.0.1", validate=check.is_host)
PORT = env.int("PORT", 8000, validate=check.is_port) or 8000
WEB_WORKERS = env.int("WEB_WORKERS", 2, validate=check.at_least(1))
SITE_URL = env.str("SITE_URL", demo(f"http://localhost:{PORT}"), validate=check.is_site_url)
SUPPORT_EMAIL = env.str("SUPPORT_EMAIL", demo("help@example.mn"), validate=check.is_address)
language_codes = [code for word in env.str("LANGUAGES", "mn,en").split(",") if (code := word.strip())]
LANGUAGE_CODE = env.str("LANGUAGE_CODE", language_codes[0] if language_codes else "mn")
names_as_shipped = "mn=Шар хуудас" if SITE_NAME == "Yellow Books" and "mn" in language_codes else ""
SITE_NAMES: dict[str, str] = env.names("SITE_NAMES", names_as_shipped) or {}  # by language; SITE_NAME for the others
LOCALE_DIR = env.str("LOCALE_DIR", "", validate=languages.is_folder_if_given)
TIME_ZONE = env.str("TIME_ZONE", "Asia/Ulaanbaatar", validate=check.is_zone)
TRUSTED_PROXIES: list[str] = env.list("TRUSTED_PROXIES", [], validate=check.are_networks)
HSTS_INCLUDE_SUBDOMAINS = env.flag("HSTS_INCLUDE_SUBDOMAINS", False)
HSTS_PRELOAD = env.flag("HSTS_PRELOAD", False)
STAFF_MFA = env.str("STAFF_MFA", "optional" if DEBUG else "required", validate=check.is_staff_mfa)
STAFF_MFA_HOURS = env.int("STAFF_MFA_HOURS", 12, validate=check.at_least(1))  # NIST SP 800-63B-3, 4.2.3: 12 at the most

# --- GitHub sign-in: offered when there is an id -----------------------------------------------
GITHUB_CLIENT_ID = env.str("GITHUB_CLIENT_ID", "")
GITHUB_CLIENT_SECRET = env.str("GITHUB_CLIENT_SECRET", "")
GITHUB_URL = env.str("GITHUB_URL", "https://github.com", validate=check.is_site_url)

# --- email -----------------------------------------------------------------------------------------
mail_backend = env.str("EMAIL_BACKEND", mail_services.SMTP)
mail_host = env.str("EMAIL_HOST", demo("") if mail_backend == mail_services.SMTP else "", validate=check.is_mail_host)
MAIL_IS_CAUGHT = DEBUG and mail_backend == mail_services.SMTP and mail_host == ""  # by the local mail catcher
smtp_server: dict[str, Any] = {
    "host": mail_host,
    "port": env.int("EMAIL_PORT", PORT + 1 if MAIL_IS_CAUGHT else 25, validate=check.is_port),
    "username": env.str("EMAIL_HOST_USER", "", validate=check.is_ascii),
    "password": env.str("EMAIL_HOST_PASSWORD", "", validate=check.is_ascii),
    "use_tls": env.flag("EMAIL_USE_TLS", False),
    "use_ssl": env.flag("EMAIL_USE_SSL", False),
    "timeout": env.int("EMAIL_TIMEOUT", 10, validate=check.at_least(1)),
}
EMAIL_CA_FILE = env.str("EMAIL_CA_FILE", "", validate=check.are_certificates_if_given)
mail_folder = env.str("EMAIL_FILE_PATH", "") or None  # for Django's file backend
mail_fallback: dict[str, Any] = env.mail_server("EMAIL_FALLBACK_URL", "") or {}
EMAIL_EHLO_NAME = env.str("EMAIL_EHLO_NAME", "", validate=check.is_ehlo_name_if_given)
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", demo("Yellow Books <no-reply@example.mn>"), validate=check.is_sender)
MAX_FROM_NAME = check.MAX_FROM_NAME
SENDER_DOMAINS: list[str] = env.list("SENDER_DOMAINS", [], validate=check.are_domains)  # other than its own
MAIL_TEMPLATES_DIR = env.str("MAIL_TEMPLATES_DIR", "", validate=languages.is_folder_if_given)
GEOIP_PATH = env.str("GEOIP_PATH", "", validate=check.is_file_if_given)

# --- a mail service in place of SMTP, and its webhooks for bounces (django-anymail) --------
ANYMAIL_WEBHOOKS: list[str] = env.list("ANYMAIL_WEBHOOKS", [])  # services with a webhook below /anymail/
ANYMAIL: dict[str, Any] = {
    "WEBHOOK_SECRET": env.list("ANYMAIL_WEBHOOK_SECRET", [], validate=check.are_logins),
    "MAILGUN_WEBHOOK_SIGNING_KEY": env.str("ANYMAIL_MAILGUN_WEBHOOK_SIGNING_KEY", "", validate=check.is_key_if_given),
    "MAILGUN_API_KEY": env.str("ANYMAIL_MAILGUN_API_KEY", ""),
    "MAILGUN_API_URL": env.str("ANYMAIL_MAILGUN_API_URL", "https://api.mailgun.net/v3", validate=check.is_https),
    "MAILGUN_SENDER_DOMAIN": env.str("ANYMAIL_MAILGUN_SENDER_DOMAIN", "") or None,
    "POSTMARK_SERVER_TOKEN": env.str("ANYMAIL_POSTMARK_SERVER_TOKEN", ""),
    "BREVO_API_KEY": env.str("ANYMAIL_BREVO_API_KEY", ""),
    "REQUESTS_TIMEOUT": smtp_server["timeout"],
}

# --- the queue ----------------------------------------------------------------------------------------
JOB_MAX_ATTEMPTS = env.int("JOB_MAX_ATTEMPTS", Queue.JOB_MAX_ATTEMPTS, validate=check.at_least(1))
JOB_BACKOFF_SECONDS = env.float("JOB_BACKOFF_SECONDS", Queue.JOB_BACKOFF_SECONDS, validate=check.at_least(0.01))
JOB_LEASE_SECONDS = env.int("JOB_LEASE_SECONDS", Queue.JOB_LEASE_SECONDS, validate=check.at_least(4))
JOB_BATCH_SIZE = env.int("JOB_BATCH_SIZE", Queue.JOB_BATCH_SIZE, validate=check.at_least(1))
SIGNIN_EMAILS_PER_HOUR = env.int("SIGNIN_EMAILS_PER_HOUR", 10, validate=check.at_least(1))
SIGNIN_EMAILS_PER_ADDRESS = env.int("SIGNIN_EMAILS_PER_ADDRESS", 20, validate=check.at_least(1))
Q_WORKERS = env.int("Q_WORKERS", Queue.Q_WORKERS, validate=check.at_least(1))
Q_BROKER = env.str("Q_BROKER", Queue.Q_BROKER, validate=check.is_broker)

# --- retention ----------------------------------------------------------------------------
RETENTION_DAYS_PAYLOAD = env.int(
    "RETENTION_DAYS_PAYLOAD", Queue.RETENTION_DAYS_PAYLOAD, validate=check.at_least(2)
)  # jobs live for one day
RETENTION_DAYS_JOBS = env.int("RETENTION_DAYS_JOBS", Queue.RETENTION_DAYS_JOBS, validate=check.at_least(2))
RETENTION_DAYS_JOB_IDS = env.int("RETENTION_DAYS_JOB_IDS", Queue.RETENTION_DAYS_JOB_IDS, validate=check.at_least(2))
RETENTION_DAYS_SIGN_INS = env.int(
    "RETENTION_DAYS_SIGN_INS", 180, validate=check.at_least(8)
)  # a dispute has seven days
RETENTION_DAYS_AUDIT = env.int("RETENTION_DAYS_AUDIT", Queue.RETENTION_DAYS_AUDIT, validate=check.at_least(2))

# --- monitoring ---------------------------------------------------------------------------------------
SYNTHETIC_SIGN_IN_USER = env.str("SYNTHETIC_SIGN_IN_USER", "")  # signs in every ten minutes; "" for none
METRICS_TOKEN = env.str("METRICS_TOKEN", "", validate=check.is_token_if_given)  # opens /metrics to other machines
ALERT_TO: list[str] = env.list("ALERT_TO", [], validate=check.are_addresses)
ALERT_WEBHOOK = env.str("ALERT_WEBHOOK", "", validate=check.is_url_if_given)
HEARTBEAT_URL = env.str("HEARTBEAT_URL", "", validate=check.is_url_if_given)
WORKER_ALIVE_FILE = env.str(
    "WORKER_ALIVE_FILE", Queue.WORKER_ALIVE_FILE
)  # with the time of the worker's last sign of life, for probes
NOTIFY_SOCKET = env.str("NOTIFY_SOCKET", Queue.NOTIFY_SOCKET)  # systemd's
SENTRY_DSN = env.str("SENTRY_DSN", "", validate=check.is_dsn_if_given)
SENTRY_ENVIRONMENT = env.str("SENTRY_ENVIRONMENT", "production")
OTEL_EXPORTER_OTLP_ENDPOINT = env.str("OTEL_EXPORTER_OTLP_ENDPOINT", "", validate=check.is_url_if_given)
OTEL_SERVICE_NAME = env.str("OTEL_SERVICE_NAME", "notifier")

# --- the HTTP API -------------------------------------------------------------------------------------
API_RATE = env.str("API_RATE", "6000/m", validate=check.is_rate)  # requests of a key, or of an IP address without one

# --- events for other sites ------------------------------------------------------------------------------
EVENT_ALLOW_PRIVATE = env.flag("EVENT_ALLOW_PRIVATE", DEBUG)  # receivers in private networks, and with http

# --- storage ----------------------------------------------------------------------------
VAR_DIR = (env.path("VAR_DIR", BASE_DIR / "var") or BASE_DIR).absolute()
database: dict[str, Any] = env.database("DATABASE_URL", f"sqlite:///{VAR_DIR / 'notifier.sqlite3'}")
REDIS_URL = env.str("REDIS_URL", Queue.REDIS_URL)

if smtp_server["use_tls"] and smtp_server["use_ssl"]:
    env._errors["EMAIL_USE_SSL"].append("EMAIL_USE_TLS and EMAIL_USE_SSL exclude each other")
if Q_BROKER == "redis" and not REDIS_URL:
    env._errors["REDIS_URL"].append("Q_BROKER=redis needs it: write redis://127.0.0.1:6379/0")
if HSTS_PRELOAD and not HSTS_INCLUDE_SUBDOMAINS:
    env._errors["HSTS_PRELOAD"].append("needs HSTS_INCLUDE_SUBDOMAINS=1: browsers' preload lists accept no other site")
if bool(GITHUB_CLIENT_ID) != bool(GITHUB_CLIENT_SECRET):
    env._errors["GITHUB_CLIENT_SECRET"].append("GITHUB_CLIENT_ID and GITHUB_CLIENT_SECRET need each other")
if Q_BROKER == "sqs" and find_spec("boto3") is None:
    env._errors["Q_BROKER"].append("sqs needs boto3: pip install --require-hashes -r requirements-sqs.txt")
if mail_fallback and all(mail_fallback[key] == smtp_server[key] for key in ("host", "port")):
    env._errors["EMAIL_FALLBACK_URL"].append("names the server of EMAIL_HOST and EMAIL_PORT: it must be another one")
if SENTRY_DSN and find_spec("sentry_sdk") is None:
    env._errors["SENTRY_DSN"].append("needs sentry-sdk: pip install --require-hashes -r requirements-sentry.txt")
if OTEL_EXPORTER_OTLP_ENDPOINT and find_spec("opentelemetry") is None:
    env._errors["OTEL_EXPORTER_OTLP_ENDPOINT"].append(
        "needs OpenTelemetry: pip install --require-hashes -r requirements-otel.txt"
    )
for setting, fault in mail_services.faults(mail_backend, ANYMAIL_WEBHOOKS, ANYMAIL):
    env._errors[setting].append(fault)
for setting, fault in [*unsupported.variable_faults(os.environ), *unsupported.folder_faults(database, VAR_DIR)]:
    env._errors[setting].append(fault)
for setting, fault in languages.faults(language_codes, LANGUAGE_CODE, SITE_NAMES, LOCALE_DIR, BASE_DIR):
    env._errors[setting].append(fault)
try:
    env.seal()
except EnvValidationError as error:
    raise ImproperlyConfigured(check.explain(error)) from None

# --- settings derived from those above ---------------------------------------------------------------------------
site_url = urlsplit(SITE_URL)
SENDER_DOMAINS = sorted({parseaddr(DEFAULT_FROM_EMAIL)[1].rpartition("@")[2].lower(), *map(str.lower, SENDER_DOMAINS)})
EMAIL_EHLO_NAME = EMAIL_EHLO_NAME or check.default_ehlo_name(site_url.hostname or "")
MAILERS = mail_services.mailers(mail_backend, smtp_server, mail_folder, mail_fallback)
if VERSION < (6, 1):  # it knows no MAILERS, and newer versions refuse these names next to it
    EMAIL_BACKEND, EMAIL_FILE_PATH = mail_backend, mail_folder
    EMAIL_HOST, EMAIL_PORT, EMAIL_TIMEOUT = mail_host or "127.0.0.1", smtp_server["port"], smtp_server["timeout"]
    EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = smtp_server["username"], smtp_server["password"]
    EMAIL_USE_TLS, EMAIL_USE_SSL = smtp_server["use_tls"], smtp_server["use_ssl"]
INSTALLED_APPS = [
    "notifier.apps.NotifierConfig",  # its templates and commands take precedence
    "jobs.apps.JobsConfig",  # before django_q: `manage.py qcluster` is ours
    "accounts.apps.AccountsConfig",
    "notifier.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_q",
    "allauth",
    "allauth.account",
    "accounts.apps.SocialAccountsConfig",  # allauth.socialaccount
    "allauth.socialaccount.providers.github",
    "allauth.mfa",
]
if django.VERSION < (6, 0):
    INSTALLED_APPS.append("django_tasks")  # Django's Tasks interface before it was a part of Django
if DEBUG:
    INSTALLED_APPS.insert(0, "notifier.dev.apps.DevConfig")  # the mail catcher, its pages, the demo accounts

MIDDLEWARE = [
    "notifier.middleware.trusted_proxies",
    "notifier.request_logging.log_request",
    "notifier.middleware.answer_probes",
    "notifier.middleware.note_api_request",
    "notifier.api.problems.ApiProblems",
    "notifier.web.outage.Outage",
    "django.middleware.security.SecurityMiddleware",
    "notifier.web.content_policy.ContentPolicy",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django.middleware.common.CommonMiddleware",
    "notifier.middleware.skip_sessions",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "accounts.middleware.private_pages",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "accounts.middleware.after_sign_in",
    "accounts.changes.locking.one_change_at_a_time",
]
ROOT_URLCONF = "notifier.urls"
WSGI_APPLICATION = "notifier.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "notifier.context.site_context",
            ]
        },
    }
]
if MAIL_TEMPLATES_DIR:  # used for emails alone (accounts/mail/rendering.py), so that no page can be replaced
    TEMPLATES.append({**TEMPLATES[0], "NAME": "mail", "DIRS": [MAIL_TEMPLATES_DIR, BASE_DIR / "templates"]})
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

SQLITE = database["ENGINE"] == "django.db.backends.sqlite3"
if SQLITE:
    database["OPTIONS"] = {"transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": "PRAGMA journal_mode=WAL;"}
else:
    # A server that stops responding is given up after seconds, not after the kernel's quarter of an hour.
    timeouts = {"connect_timeout": 5, "keepalives_idle": 30, "keepalives_interval": 5, "tcp_user_timeout": 10_000}
    database["OPTIONS"] = {**timeouts, **database.get("OPTIONS", {})}
DATABASES = {"default": {**database, "CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}}

CACHES: dict[str, dict[str, Any]] = {
    # It counts the requests of all processes together, so it must count exactly.
    "default": {
        "BACKEND": "notifier.cache.CountingDatabaseCache",
        "LOCATION": "cache_entries",
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    },
}
if REDIS_URL:
    CACHES["default"] = {"BACKEND": "notifier.cache.BoundedRedisCache", "LOCATION": REDIS_URL}

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "allauth.account.auth_backends.AuthenticationBackend",
    "django.contrib.auth.backends.ModelBackend",
]
PASSWORD_HASHERS = [
    "accounts.secrecy.hashers.Argon2idPasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",  # of earlier versions: replaced at the user's next sign-in
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_FORMS = {
    "login": "accounts.forms.SignInForm",
    "signup": "accounts.forms.SignUpForm",
    "change_password": "accounts.forms.PasswordChangeForm",
    "reset_password_from_key": "accounts.forms.NewPasswordForm",
}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]  # no user name: its form would reveal which names are taken
ACCOUNT_EMAIL_VERIFICATION = "optional"  # a new user may sign in immediately; notices go only to confirmed addresses
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False  # nothing makes the site email a stranger
ACCOUNT_REAUTHENTICATION_REQUIRED = True  # before an address or a GitHub account is added
ACCOUNT_REAUTHENTICATION_TIMEOUT = 600  # seconds; accounts/changes/fresh.py
ACCOUNT_REAUTHENTICATION_METHODS = ["password", "mfa"]  # no code by email, which allauth has since 65.22
ACCOUNT_PASSWORD_RESET_TOKEN_GENERATOR = "accounts.credentials.ResetTokenGenerator"  # noqa: S105
ACCOUNT_RATE_LIMITS = False  # accounts/sign_in/ratelimit.py limits, exactly
MFA_ADAPTER = "accounts.factors.adapter.FactorAdapter"
MFA_FORMS = {
    "authenticate": "accounts.factors.forms.CodeForm",
    "reauthenticate": "accounts.factors.forms.CodeAgainForm",
    "activate_totp": "accounts.factors.forms.AppForm",
    "add_webauthn": "accounts.factors.forms.NewPasskeyForm",
    "edit_webauthn": "accounts.factors.forms.PasskeyNameForm",
    "login_webauthn": "accounts.factors.forms.PasskeySignInForm",
    "authenticate_webauthn": "accounts.factors.forms.PasskeyForm",
    "reauthenticate_webauthn": "accounts.factors.forms.PasskeyAgainForm",
}
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_WEBAUTHN_USER_VERIFICATION = "required"
MFA_ALLOW_UNVERIFIED_EMAIL = True  # accounts/factors/views.py has the rule: the first address must be confirmed
MFA_TOTP_TOLERANCE = 1  # steps of 30 seconds before and after, for clocks that are wrong (RFC 6238, 5.2)
MFA_RATE_LIMITS = False  # accounts/sign_in/ratelimit.py limits, exactly
SOCIALACCOUNT_ADAPTER = "accounts.adapter.SocialAccountAdapter"
SOCIALACCOUNT_QUERY_EMAIL = True  # GitHub discloses private addresses only on request
SOCIALACCOUNT_REQUESTS_TIMEOUT = 5  # seconds that a web request waits for GitHub
SOCIALACCOUNT_PROVIDERS: dict[str, Any] = {"github": {"OAUTH_PKCE_ENABLED": True}}
if GITHUB_CLIENT_ID:
    SOCIALACCOUNT_PROVIDERS["github"]["APPS"] = [{"client_id": GITHUB_CLIENT_ID, "secret": GITHUB_CLIENT_SECRET}]
if GITHUB_URL != "https://github.com":
    SOCIALACCOUNT_PROVIDERS["github"]["GITHUB_URL"] = GITHUB_URL
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "activity"
ACCOUNT_LOGOUT_REDIRECT_URL = "/"
SIGN_IN_RATE_PER_NAME = "20/5m"  # in the form of API_RATE; RATELIMIT_ENABLE=False in a load test
SIGN_IN_RATE_PER_ADDRESS = "100/5m"  # mobile networks put many users behind one address

LOCALE_PATHS = languages.locale_folders(LOCALE_DIR, BASE_DIR / "locale")
LANGUAGES = languages.named(language_codes, LOCALE_PATHS)
FORMAT_MODULE_PATH = ["notifier.formats"]
# For languages of which Django has no formats: no American order, no "p.m.".
DATETIME_FORMAT, DATE_FORMAT, TIME_FORMAT = "j F Y, H:i", "j F Y", "H:i"
SHORT_DATETIME_FORMAT, SHORT_DATE_FORMAT = "Y-m-d H:i", "Y-m-d"

STATIC_URL = "static/"
STATIC_ROOT = VAR_DIR / "static"
MAILBOX_DIR = VAR_DIR / "mailbox"  # where the local mail catcher stores emails
STATICFILES_DIRS = [BASE_DIR / "static"]

READY_WAIT_SECONDS = 300  # /readyz fails when a due job has waited for longer

TASKS = {"default": {"BACKEND": "jobs.tasks.Backend"}}  # docs/tasks.md
SCHEDULES: dict[str, dict[str, Any]] = {  # docs/schedules.md
    "prune": {"task": "jobs.schedules.tasks.prune", "cron": "23 3 * * *", "timezone": TIME_ZONE},
}
if SYNTHETIC_SIGN_IN_USER:
    SCHEDULES["synthetic-sign-in"] = {
        "task": "accounts.synthetic.sign_in",
        "cron": "*/10 * * * *",
        "timezone": TIME_ZONE,
    }

SESSION_ENGINE = "accounts.sign_in.sessions"
SESSION_COOKIE_AGE = 14 * 24 * 3600  # seconds after the last check of the user; accounts/sign_in/sessions.py
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = site_url.scheme == "https"
# Cookies are shared by all ports of a host, so a port in SITE_URL is a part of their names.
SESSION_COOKIE_NAME = cookie_name("sessionid")
CSRF_COOKIE_NAME = cookie_name("csrftoken")
LANGUAGE_COOKIE_NAME = cookie_name("django_language")
DEVICE_COOKIE_NAME = cookie_name("known_device")
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE and not DEBUG
SECURE_HSTS_SECONDS = 31_536_000 if SECURE_SSL_REDIRECT else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_SSL_REDIRECT and HSTS_INCLUDE_SUBDOMAINS
SECURE_HSTS_PRELOAD = SECURE_SSL_REDIRECT and HSTS_PRELOAD
# Both are the operator's choice: they bind every other site of the domain (security.W005, W021).
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "base-uri": [NONE],
        "form-action": [SELF, GITHUB_URL] if GITHUB_CLIENT_ID else [SELF],  # it limits redirects of forms, too
        "frame-ancestors": [NONE],
        "object-src": [NONE],
    }
}

LOGGING = logging_config(debug=DEBUG)
