"""Programs that read an email: notmuch (GMime), Dovecot, Python, npm's mailparser; and SpamAssassin, which judges it.

Debian's are unpacked, never installed. Each reader returns subject, text and HTML; None for what it does not give.
"""

import json
import os
import re
import shutil
import subprocess
from email import message_from_bytes, policy
from pathlib import Path

from tests.support import debian

NOTMUCH = (
    "notmuch",
    "libnotmuch5",
    "libgmime-3.0-0",
    "libxapian30",
    "libtalloc2",
    "libgpgme11",
    "libglib2.0-0",
    "libsexp1",
)
DOVECOT = ("dovecot-core", "dovecot-imapd", "libassuan0", "libexttextcat-2.0-0", "libsodium23", "libstemmer0d")
PERL = ("libhtml-parser-perl", "libhtml-tagset-perl", "libnet-dns-perl", "libnetaddr-ip-perl", "libhttp-date-perl")
PERL += (
    "libtimedate-perl",
    "libsys-hostname-long-perl",
    "libsocket6-perl",
    "libio-string-perl",
    "liburi-perl",
    "liberror-perl",
)
PACKAGES = (*NOTMUCH, *DOVECOT, "spamassassin", *PERL)
MAIL_USER = 8  # Debian's user "mail": Dovecot does not run as root

Parts = tuple[str, str | None, str | None]

MAILPARSER = """
const { simpleParser } = require('mailparser');
simpleParser(process.stdin).then(mail => console.log(JSON.stringify([mail.subject, mail.text, mail.html])));
"""


def unify(text: str) -> str:
    """Return a text without differences of line ends, and without empty lines around it."""
    return text.replace("\r\n", "\n").strip()


def read_with_python(raw: bytes, _folder: Path, _usr: Path) -> Parts:
    """Read with the parser of Python's standard library under its modern policy."""
    message = message_from_bytes(raw, policy=policy.default)
    parts = [message.get_body([kind]).get_content() for kind in ("plain", "html")]  # type: ignore[union-attr]
    return message["Subject"], parts[0], parts[1]


def read_with_notmuch(raw: bytes, folder: Path, usr: Path) -> Parts:
    """Read with notmuch, which reads with GMime, as mu and Geary do."""
    _maildir(folder, raw)
    config = folder / "notmuch.conf"
    config.write_text(f"[database]\npath={folder / 'mail'}\n[user]\nname=x\nprimary_email=x@example.mn\n[new]\ntags=\n")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "NOTMUCH_CONFIG": str(config),
        "LD_LIBRARY_PATH": debian.library_path(usr),
    }
    _run([usr / "bin/notmuch", "new", "--quiet"], environment)
    shown = _run([usr / "bin/notmuch", "show", "--format=json", "--include-html", "*"], environment)
    message = json.loads(shown)[0][0][0]
    text, html = (part["content"] for part in message["body"][0]["content"])
    return message["headers"]["Subject"], text, html


def read_with_mailparser(raw: bytes, folder: Path, _usr: Path) -> Parts:
    """Read with npm's mailparser, which it installs."""
    environment = {**os.environ, "HOME": str(folder)}
    subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", folder, "mailparser@3"],
        env=environment,
        check=True,
        timeout=200,
    )
    subject, text, html = json.loads(_run(["node", "-e", MAILPARSER], environment, raw, cwd=folder))
    return subject, text, html


def found_by_dovecot(raw: bytes, folder: Path, usr: Path, *searches: tuple[str, str]) -> list[bool]:
    """Return for each search (SUBJECT or BODY, words) whether IMAP's SEARCH finds the email."""
    _maildir(folder, raw)
    for path in [folder, *folder.rglob("*")]:
        shutil.chown(path, MAIL_USER, MAIL_USER)
    environment = {
        "USER": "mail",
        "HOME": str(folder),
        "LD_LIBRARY_PATH": f"{debian.library_path(usr)}:{usr / 'lib/dovecot'}",
        "DOVECONF_ENV": "1",  # the settings are here, not in a file
        "MAIL_UID": str(MAIL_USER),
        "MAIL_GID": str(MAIL_USER),
        "FIRST_VALID_UID": str(MAIL_USER),
        "FIRST_VALID_GID": "0",
        "MAIL_LOCATION": f"maildir:{folder / 'mail'}",
        "MAIL_PLUGIN_DIR": str(usr / "lib/dovecot/modules"),
        "STATS_WRITER_SOCKET_PATH": "",
    }
    dialogue = ["a SELECT INBOX"]
    for number, (where, words) in enumerate(searches):
        size = len(words.encode())
        dialogue.append(f"s{number} SEARCH CHARSET UTF-8 {where} {{{size}+}}\r\n{words}")
    spoken = "".join(f"{line}\r\n" for line in [*dialogue, "z LOGOUT"])
    answers = _run([usr / "lib/dovecot/imap"], environment, spoken.encode())
    return [found == " 1" for found in re.findall(r"^\* SEARCH( 1|)\r?$", answers, re.MULTILINE)]


def judge_with_spamassassin(raw: bytes, folder: Path, usr: Path) -> tuple[float, str]:
    """Return the score without network tests, and the rules that made it."""
    libraries = [usr / "share/perl5", *usr.glob("lib/*-linux-gnu/perl5/5.*")]
    command = ["perl", "-T", *(f"-I{path}" for path in libraries), usr / "bin/spamassassin", "--local", "--test-mode"]
    command += [f"--configpath={usr / 'share/spamassassin'}", f"--siteconfigpath={usr.parent / 'etc/spamassassin'}"]
    report = _run(command, {"PATH": os.environ["PATH"], "HOME": str(folder)}, raw)
    found = re.search(r"^Content analysis details: +\((-?[\d.]+) points", report, re.MULTILINE)
    assert found, report
    return float(found[1]), report[found.start() :]


def _maildir(folder: Path, raw: bytes) -> None:
    for name in ("cur", "new", "tmp"):
        (folder / "mail" / name).mkdir(parents=True)
    (folder / "mail/cur/1:2,S").write_bytes(raw)


def _run(command: list[str | Path], environment: dict[str, str], given: bytes = b"", cwd: Path | None = None) -> str:
    done = subprocess.run(command, env=environment, input=given, capture_output=True, timeout=100, cwd=cwd)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode(errors="replace")  # a report of SpamAssassin may end within a letter
