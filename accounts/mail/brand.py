"""The brand of an email and of the page behind its button: which site it names. Data only: no model, no database."""

from dataclasses import dataclass
from email.utils import parseaddr
from typing import Any, Self
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.translation import get_language


@dataclass(frozen=True)
class Brand:
    """What an email says about the site that it is sent for."""

    name: str
    url: str = ""
    secure_url: str = ""
    """The page where the user secures the account; "" when the site has named none."""
    support: str = ""
    """The support address; "" when the site has named none."""
    sender: str = ""
    """`Name <address>`."""
    colour: str = ""
    """The accent colour, "#0055aa"; "" for that of this site, or for none in the name of another one."""
    link_host: str = ""
    """The host of links and Message-IDs; "" for that of SITE_URL."""
    test_mode: bool = False
    """Whether everything happens except the sending."""
    own: bool = False
    """Whether it is this site."""

    @classmethod
    def of_this_site(cls) -> Self:
        """Return the brand of this site, from the settings."""
        return cls(
            name=site_name(),
            url=settings.SITE_URL,
            secure_url=settings.SITE_URL,
            support=settings.SUPPORT_EMAIL,
            sender=settings.DEFAULT_FROM_EMAIL,
            own=True,
        )

    @classmethod
    def of_payload(cls, payload: dict[str, Any]) -> Self:
        """Return the brand that a job's payload carries as `site`; that of this site without one."""
        stored = payload.get("site")
        if not isinstance(stored, dict) or not isinstance(stored.get("name"), str):
            return cls.of_this_site()
        types = {name: bool if name == "test_mode" else str for name in cls.__dataclass_fields__ if name != "own"}
        return cls(**{name: stored[name] for name, kind in types.items() if isinstance(stored.get(name), kind)})

    @staticmethod
    def default_sender(name: str) -> str:
        """Return the sender of a site that has none: its name, and the address of DEFAULT_FROM_EMAIL."""
        shown = name[: settings.MAX_FROM_NAME].rstrip().replace('"', "").replace("\\", "")
        return f'"{shown}" <{parseaddr(settings.DEFAULT_FROM_EMAIL)[1]}>'

    def name_in(self, language: str) -> str:
        """Return its name for an email in a language."""
        return site_name(language) if self.own else self.name

    @property
    def sender_differs(self) -> bool:
        """Return whether its sender has another address than this site's."""
        return parseaddr(self.sender)[1] != parseaddr(settings.DEFAULT_FROM_EMAIL)[1]

    @property
    def stored(self) -> dict[str, Any]:
        """Return the brand as a job's payload carries it, without what is empty."""
        return {name: value for name, value in vars(self).items() if value and name != "own"}

    @property
    def link_base(self) -> str:
        """Return the scheme and host of its links."""
        if self.link_host:
            return f"{urlsplit(settings.SITE_URL).scheme}://{self.link_host}"
        return str(settings.SITE_URL).rstrip("/")

    @property
    def host(self) -> str:
        """Return the host of the site, as a user types it; "" when the site has named no URL."""
        return urlsplit(self.url).netloc


def site_name(language: str | None = None) -> str:
    """Return the name of this site in a language, by default the active one: SITE_NAMES, else SITE_NAME."""
    return str(settings.SITE_NAMES.get(language or get_language() or "", settings.SITE_NAME))
