"""A real Postfix of Debian's package, unpacked next to the test and never installed: no user, no init script.

Each condition is a port of its own, with its own settings; the mail that it accepts is discarded. Needs root, since
Postfix changes its user.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import debian
from tests.support.ports import free_port

MAIN = """compatibility_level = 3.6
queue_directory = {home}/spool
data_directory = {home}/data
command_directory = {usr}/sbin
daemon_directory = {usr}/lib/postfix/sbin
shlib_directory = {usr}/lib/postfix
meta_directory = {usr}/../etc/postfix
mail_owner = mail
setgid_group = games
default_privs = daemon
import_environment = LD_LIBRARY_PATH MAIL_CONFIG TZ LANG=C
export_environment = LD_LIBRARY_PATH TZ LANG=C
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mail.example.test
mydestination = local.test
local_recipient_maps = inline:{{known=x}}
relay_domains = example.mn
transport_maps = static:discard:
alias_maps =
alias_database =
smtpd_relay_restrictions = reject_unauth_destination
smtpd_client_event_limit_exceptions =
maillog_file = {home}/log
maillog_file_prefixes = /
"""
SERVICES = """cleanup unix n - n - 0 cleanup
strict unix n - n - 0 cleanup
  -o { header_checks = static:{REJECT we take no such content} }
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
tlsmgr unix - - n 1000? 1 tlsmgr
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""
QUEUES = ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace")


def unpack() -> Path:
    """Return the folder `usr` with Postfix in it: the machine's own, or an unpacked one."""
    if Path("/usr/lib/postfix/sbin/master").exists():
        return Path("/usr")
    return debian.unpack("postfix") / "usr"


@contextmanager
def running(home: Path, conditions: dict[str, dict[str, str]]) -> Iterator[dict[str, int]]:
    """Start Postfix; give the port of each condition. conditions: the settings that differ, by name."""
    debian.require_root()
    usr = unpack()
    home.chmod(0o755)
    for folder in ("etc", "data", "spool", *(f"spool/{name}" for name in (*QUEUES, "pid", "maildrop", "public"))):
        (home / folder).mkdir(parents=True, mode=0o755)
    for name in QUEUES:
        shutil.chown(home / "spool" / name, "mail")
        (home / "spool" / name).chmod(0o700)
    for name, mode in (("maildrop", 0o730), ("public", 0o710)):
        shutil.chown(home / "spool" / name, "mail", "games")
        (home / "spool" / name).chmod(mode)
    shutil.chown(home / "data", "mail")
    ports = {name: free_port() for name in conditions}
    (home / "etc/main.cf").write_text(MAIN.format(home=home, usr=usr))
    (home / "etc/master.cf").write_text(
        SERVICES
        + "".join(
            f"127.0.0.1:{ports[name]} inet n - n - - smtpd\n"
            + "".join(f"  -o {{ {setting} = {value} }}\n" for setting, value in conditions[name].items())
            for name in conditions
        )
    )
    environment = {**os.environ, "LD_LIBRARY_PATH": str(usr / "lib/postfix")}
    master = subprocess.Popen([usr / "lib/postfix/sbin/master", "-c", home / "etc", "-d"], env=environment)
    try:
        until = time.monotonic() + 20
        while not (home / "log").exists() or "daemon started" not in (home / "log").read_text():
            assert time.monotonic() < until, "Postfix did not start"
            time.sleep(0.1)
        yield ports
    finally:
        master.terminate()
        master.wait(10)
