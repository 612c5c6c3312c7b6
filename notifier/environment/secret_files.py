"""Secrets from files: a secret setting NAME may be given as NAME_FILE, the path of a file that holds its value.

Docker and Kubernetes mount secrets as files, and systemd's LoadCredential makes such files. Used only by settings.py.
"""

from pathlib import Path
from typing import Any

from environs import Env

SECRETS = frozenset(
    {
        "SECRET_KEY",
        "SECRET_KEY_FALLBACKS",
        "ENCRYPTION_KEY",
        "ENCRYPTION_KEY_FALLBACKS",
        "DATABASE_URL",
        "REDIS_URL",
        "EMAIL_HOST_USER",
        "EMAIL_HOST_PASSWORD",
        "EMAIL_FALLBACK_URL",
        "GITHUB_CLIENT_SECRET",
        "METRICS_TOKEN",
        "ANYMAIL_WEBHOOK_SECRET",
        "ANYMAIL_MAILGUN_WEBHOOK_SIGNING_KEY",
        "ANYMAIL_MAILGUN_API_KEY",
        "ANYMAIL_POSTMARK_SERVER_TOKEN",
        "ANYMAIL_BREVO_API_KEY",
        "SENTRY_DSN",
        "ALERT_WEBHOOK",
        "HEARTBEAT_URL",
    }
)
UNREAD = "unread"  # in place of a value, so that only the fault of its file is reported


class SecretFileEnv(Env):
    """A reader of the environment that also reads the files of secrets. The faults of files are errors of NAME."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._file_faults: dict[str, str] = {}

    def seal(self) -> None:
        """Raise EnvValidationError for all faults; a value that could not be read has no other fault."""
        for name, fault in self._file_faults.items():
            self._errors[name][:] = [fault]
        super().seal()

    def _get_value(self, env_key: str, default: Any) -> Any:
        given = super()._get_value(env_key, default)
        path = super()._get_value(f"{env_key}_FILE", "") if env_key in SECRETS else ""
        if not path:
            return given
        if super()._get_value(env_key, None) is not None:
            return self._refuse(env_key, f"{env_key} and {env_key}_FILE are both given: leave one of them out")
        try:
            value = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as unread:
            why = unread.strerror if isinstance(unread, OSError) else "it is not text in UTF-8"
            return self._refuse(env_key, f"{env_key}_FILE: the file {path!r} cannot be read: {why}")
        return value or self._refuse(env_key, f"{env_key}_FILE: the file {path!r} is empty")

    def _refuse(self, name: str, fault: str) -> str:
        self._file_faults[name] = fault
        return UNREAD
