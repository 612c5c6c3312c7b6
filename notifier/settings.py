"""All settings, read from the environment (and `.env`) top to bottom. docs/settings.md names them.

Every value is checked here; whatever is missing or wrong is told in one message before anything starts.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _
from environs import Env, EnvValidationError

from notifier import environment as check
from notifier import mail_services
from notifier.logging import logging_config

BASE_DIR = Path(__file__).resolve().parent.parent
SMTP_BACKEND = "django.core.mail.backends.smtp.EmailBackend"

env = Env(eager=False)
env.read_env(env.str("ENV_FILE", str(BASE_DIR / ".env"), validate=check.is_file), recurse=False)
DEBUG = bool(env.bool("DEBUG", False))


def demo(value: Any) -> Any:
    """A default for DEBUG alone: without DEBUG the setting must be given (`...` is environs' "required")."""
    return value if DEBUG else ...


# --- the site -----------------------------------------------------------------------------------------
SECRET_KEY = env.str("SECRET_KEY", demo("only-for-development-with-DEBUG-on"), validate=check.is_given)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", demo(["localhost", "127.0.0.1", "[::1]"]))
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", [])
SITE_NAME = env.str("SITE_NAME", "Yellow Books")
PORT = env.int("PORT", 8000, validate=check.is_port) or 8000
WEB_WORKERS = env.int("WEB_WORKERS", 2, validate=check.at_least(1))
SITE_URL = env.str("SITE_URL", demo(f"http://localhost:{PORT}"), validate=check.is_site_url)
SUPPORT_EMAIL = env.str("SUPPORT_EMAIL", demo("help@example.mn"), validate=check.is_address)
LANGUAGE_CODE = env.str("LANGUAGE_CODE", "mn", validate=check.is_language)
TIME_ZONE = env.str("TIME_ZONE", "Asia/Ulaanbaatar", validate=check.is_zone)
TRUSTED_PROXIES: list[str] = env.list("TRUSTED_PROXIES", [], validate=check.are_networks)

# --- signing in with GitHub: offered when there is an id -----------------------------------------------
GITHUB_CLIENT_ID = env.str("GITHUB_CLIENT_ID", "")
GITHUB_CLIENT_SECRET = env.str("GITHUB_CLIENT_SECRET", "")
GITHUB_URL = env.str("GITHUB_URL", "https://github.com", validate=check.is_site_url)

# --- the mail -----------------------------------------------------------------------------------------
EMAIL_BACKEND = env.str("EMAIL_BACKEND", SMTP_BACKEND)
EMAIL_HOST = env.str("EMAIL_HOST", demo("") if EMAIL_BACKEND == SMTP_BACKEND else "", validate=check.is_given)
MAIL_IS_CAUGHT = DEBUG and EMAIL_BACKEND == SMTP_BACKEND and EMAIL_HOST == ""  # the local catcher takes it
EMAIL_HOST = EMAIL_HOST or "127.0.0.1"
EMAIL_PORT = env.int("EMAIL_PORT", PORT + 1 if MAIL_IS_CAUGHT else 25, validate=check.is_port)
EMAIL_HOST_USER = env.str("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = env.str("EMAIL_HOST_PASSWORD", "")
EMAIL_USE_TLS = env.bool("EMAIL_USE_TLS", False)
EMAIL_USE_SSL = env.bool("EMAIL_USE_SSL", False)
EMAIL_TIMEOUT = env.int("EMAIL_TIMEOUT", 10, validate=check.at_least(1))
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", demo("Yellow Books <no-reply@example.mn>"), validate=check.is_sender)
GEOIP_PATH = env.str("GEOIP_PATH", "", validate=check.is_file_if_given)

# --- a mail service in place of SMTP, and what it tells of mails that come back (django-anymail) --------
ANYMAIL_WEBHOOKS: list[str] = env.list("ANYMAIL_WEBHOOKS", [])  # whose webhooks there are, below /anymail/
ANYMAIL: dict[str, Any] = {
    "WEBHOOK_SECRET": env.list("ANYMAIL_WEBHOOK_SECRET", [], validate=check.are_logins),
    "MAILGUN_WEBHOOK_SIGNING_KEY": env.str("ANYMAIL_MAILGUN_WEBHOOK_SIGNING_KEY", "", validate=check.is_key_if_given),
    "MAILGUN_API_KEY": env.str("ANYMAIL_MAILGUN_API_KEY", ""),
    "MAILGUN_API_URL": env.str("ANYMAIL_MAILGUN_API_URL", "https://api.mailgun.net/v3", validate=check.is_https),
    "MAILGUN_SENDER_DOMAIN": env.str("ANYMAIL_MAILGUN_SENDER_DOMAIN", "") or None,
    "POSTMARK_SERVER_TOKEN": env.str("ANYMAIL_POSTMARK_SERVER_TOKEN", ""),
    "BREVO_API_KEY": env.str("ANYMAIL_BREVO_API_KEY", ""),
    "REQUESTS_TIMEOUT": EMAIL_TIMEOUT,
}

# --- the queue ----------------------------------------------------------------------------------------
JOB_MAX_ATTEMPTS = env.int("JOB_MAX_ATTEMPTS", 5, validate=check.at_least(1))
JOB_BACKOFF_SECONDS = env.float("JOB_BACKOFF_SECONDS", 2.0, validate=check.at_least(0.01))
JOB_LEASE_SECONDS = env.int("JOB_LEASE_SECONDS", 45, validate=check.at_least(4))
JOB_BATCH_SIZE = env.int("JOB_BATCH_SIZE", 50, validate=check.at_least(1))
SIGNIN_EMAILS_PER_HOUR = env.int("SIGNIN_EMAILS_PER_HOUR", 10, validate=check.at_least(1))
Q_WORKERS = env.int("Q_WORKERS", 2, validate=check.at_least(1))
Q_BROKER = env.str("Q_BROKER", "orm", validate=check.is_broker)

# --- how long what is kept ----------------------------------------------------------------------------
RETENTION_DAYS_PAYLOAD = env.int("RETENTION_DAYS_PAYLOAD", 30, validate=check.at_least(2))  # jobs live for one day
RETENTION_DAYS_JOBS = env.int("RETENTION_DAYS_JOBS", 90, validate=check.at_least(2))
RETENTION_DAYS_JOB_IDS = env.int("RETENTION_DAYS_JOB_IDS", 730, validate=check.at_least(2))
RETENTION_DAYS_SIGN_INS = env.int(
    "RETENTION_DAYS_SIGN_INS", 180, validate=check.at_least(8)
)  # a dispute has seven days
RETENTION_DAYS_AUDIT = env.int("RETENTION_DAYS_AUDIT", 730, validate=check.at_least(2))

# --- watching it ---------------------------------------------------------------------------------------
METRICS_TOKEN = env.str("METRICS_TOKEN", "", validate=check.is_token_if_given)  # /metrics, for others than this machine

# --- the HTTP API -------------------------------------------------------------------------------------
API_RATE = env.str("API_RATE", "6000/m", validate=check.is_rate)  # requests of one key, or of one address without

# --- where things are kept ----------------------------------------------------------------------------
VAR_DIR = (env.path("VAR_DIR", BASE_DIR / "var") or BASE_DIR).absolute()
database: dict[str, Any] = env.dj_db_url("DATABASE_URL", f"sqlite:///{VAR_DIR / 'notifier.sqlite3'}")
REDIS_URL = env.str("REDIS_URL", "")

if EMAIL_USE_TLS and EMAIL_USE_SSL:
    env._errors["EMAIL_USE_SSL"].append("only one of EMAIL_USE_TLS and EMAIL_USE_SSL may be on")
if Q_BROKER == "redis" and not REDIS_URL:
    env._errors["REDIS_URL"].append("Q_BROKER=redis needs it: write redis://127.0.0.1:6379/0")
if bool(GITHUB_CLIENT_ID) != bool(GITHUB_CLIENT_SECRET):
    env._errors["GITHUB_CLIENT_SECRET"].append("GITHUB_CLIENT_ID and GITHUB_CLIENT_SECRET belong together")
if Q_BROKER == "sqs" and find_spec("boto3") is None:
    env._errors["Q_BROKER"].append("sqs needs boto3: pip install --require-hashes -r requirements-sqs.txt")
for setting, wrong_with_it in mail_services.faults(EMAIL_BACKEND, ANYMAIL_WEBHOOKS, ANYMAIL):
    env._errors[setting].append(wrong_with_it)
try:
    env.seal()
except EnvValidationError as wrong:
    raise ImproperlyConfigured(check.explain(wrong)) from None

# --- what follows from them ---------------------------------------------------------------------------
INSTALLED_APPS = [
    "notifier.apps.NotifierConfig",  # its templates and commands come first
    "jobs.apps.JobsConfig",  # before django_q: `manage.py qcluster` is ours
    "accounts.apps.AccountsConfig",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_q",
    "ninja",  # its static files: the pages of /api/docs
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.github",
]
if DEBUG:
    INSTALLED_APPS.insert(0, "notifier.dev.apps.DevConfig")  # the mail catcher, its pages, the demo accounts

MIDDLEWARE = [
    "notifier.middleware.trusted_proxies",
    "notifier.requests.told",
    "notifier.api.problems.ApiProblems",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "accounts.middleware.after_sign_in",
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
                "notifier.context.site",
            ]
        },
    }
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

SQLITE = database["ENGINE"] == "django.db.backends.sqlite3"
if SQLITE:
    VAR_DIR.mkdir(parents=True, exist_ok=True)
    database["OPTIONS"] = {"transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": "PRAGMA journal_mode=WAL;"}
else:
    # A server that vanished without a word is given up after seconds, not after the kernel's quarter of an hour.
    patience = {"connect_timeout": 5, "keepalives_idle": 30, "keepalives_interval": 5, "tcp_user_timeout": 10_000}
    database["OPTIONS"] = {**patience, **database.get("OPTIONS", {})}
DATABASES = {"default": {**database, "CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}}

CACHES: dict[str, dict[str, Any]] = {
    # Counts requests for all processes together, so it must count exactly.
    "default": {
        "BACKEND": "notifier.cache.CountingDatabaseCache",
        "LOCATION": "cache_entries",
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    },
    # django-q2 writes its own status here twice a second; ours is a row (jobs.Cluster).
    "qcluster": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "qcluster"},
}
if REDIS_URL:
    CACHES["default"] = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "allauth.account.auth_backends.AuthenticationBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_FORMS = {
    "login": "accounts.forms.SignInForm",
    "change_password": "accounts.forms.PasswordChangeForm",
    "reset_password_from_key": "accounts.forms.NewPasswordForm",
}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "optional"  # one may sign in at once; mails go to confirmed addresses alone
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False  # nobody can have us write to a stranger
ACCOUNT_REAUTHENTICATION_REQUIRED = True  # before an address or a GitHub account is added
ACCOUNT_PASSWORD_RESET_TOKEN_GENERATOR = "accounts.ownership.TokenGenerator"  # noqa: S105
ACCOUNT_RATE_LIMITS = False  # accounts/limits.py counts, exactly
ACCOUNT_USERNAME_BLACKLIST = ["admin", "administrator", "root", "support"]
SOCIALACCOUNT_ADAPTER = "accounts.adapter.SocialAccountAdapter"
SOCIALACCOUNT_QUERY_EMAIL = True  # GitHub tells private addresses only when asked
SOCIALACCOUNT_REQUESTS_TIMEOUT = 5  # seconds a worker waits for GitHub
SOCIALACCOUNT_PROVIDERS: dict[str, Any] = {"github": {"OAUTH_PKCE_ENABLED": True}}
if GITHUB_CLIENT_ID:
    SOCIALACCOUNT_PROVIDERS["github"]["APPS"] = [{"client_id": GITHUB_CLIENT_ID, "secret": GITHUB_CLIENT_SECRET}]
if GITHUB_URL != "https://github.com":
    SOCIALACCOUNT_PROVIDERS["github"]["GITHUB_URL"] = GITHUB_URL
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "activity"
ACCOUNT_LOGOUT_REDIRECT_URL = "/"
SIGN_IN_RATE_PER_NAME = "20/5m"  # django-ratelimit's notation; RATELIMIT_ENABLE=False in a load test
SIGN_IN_RATE_PER_ADDRESS = "100/5m"  # mobile networks put many people behind one address

LANGUAGES = [("mn", _("Mongolian")), ("en", _("English"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
FORMAT_MODULE_PATH = ["notifier.formats"]
USE_I18N = USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = VAR_DIR / "static"
MAILBOX_DIR = VAR_DIR / "mailbox"  # where the local catcher puts mails
STATICFILES_DIRS = [BASE_DIR / "static"]

# Timeout < lease < retry, or a job could be started a second time while its first try still runs (TRAPS.md).
JOB_TIMEOUT_SECONDS = max(2, JOB_LEASE_SECONDS * 2 // 3)
JOB_EXPIRES_HOURS = 24
READY_WAIT_SECONDS = 300  # /readyz fails when a due job has been waiting longer
BROKERS: dict[str, dict[str, Any]] = {
    "orm": {"broker_class": "jobs.broker.Courier", "orm": "default"},
    "redis": {"broker_class": "jobs.broker_redis.RedisCourier", "redis": REDIS_URL},
    "sqs": {"broker_class": "jobs.broker_sqs.SqsCourier", "sqs": {}},
}
Q_CLUSTER: dict[str, Any] = {
    "name": "notifier",
    **BROKERS[Q_BROKER],
    "cache": "qcluster",
    "workers": Q_WORKERS,
    "queue_limit": Q_WORKERS,
    "bulk": Q_WORKERS * JOB_BATCH_SIZE,
    "timeout": JOB_TIMEOUT_SECONDS,
    "retry": JOB_LEASE_SECONDS + 15,
    "recycle": 10_000,
    "ack_failures": True,
    "max_attempts": 1,
    "save_limit": -1,
    "scheduler": False,
}

SESSION_ENGINE = "accounts.sessions"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = urlsplit(SITE_URL).scheme == "https"
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE and not DEBUG
SECURE_REDIRECT_EXEMPT = [r"^(healthz|readyz|metrics)$"]  # asked from inside, without TLS
SECURE_HSTS_SECONDS = 31_536_000 if SECURE_SSL_REDIRECT else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = SECURE_SSL_REDIRECT
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "base-uri": [NONE],
        "form-action": [SELF, GITHUB_URL] if GITHUB_CLIENT_ID else [SELF],  # browsers follow redirects with it
        "frame-ancestors": [NONE],
        "object-src": [NONE],
    }
}

LOGGING = logging_config(debug=DEBUG)
