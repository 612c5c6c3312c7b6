"""A real Exim of Debian's package, unpacked next to the test and never installed.

Each condition is a daemon of its own, with its own settings and access control lists; the mail that it accepts is
discarded. Exim insists on a user of its own name, which libnss-wrapper makes up.
"""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import debian
from tests.support.machine import eventually
from tests.support.ports import free_port
from tests.support.postgres import die_with_parent

LIBRARIES = ("libidn12", "libgnutls-dane0", "libunbound8", "libevent-2.1-7", "libnsl2", "libtirpc3", "libdb5.3")
PACKAGES = ("exim4-daemon-light", "libnss-wrapper", "libpcre2-8-0", *LIBRARIES)
STEPS = ("connect", "helo", "mail", "rcpt", "data")
CONFIG = """primary_hostname = mail.example.test
spool_directory = {home}/spool
log_file_path = {home}/log.%s
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
exim_path = {program}
keep_environment = LD_LIBRARY_PATH : LD_PRELOAD : NSS_WRAPPER_PASSWD : NSS_WRAPPER_GROUP
timeout_frozen_after = 1h
queue_only = true
domainlist local_domains = local.test
rfc1413_hosts =
{main}
{hooks}
begin acl
{lists}
begin routers
known:
  driver = accept
  domains = +local_domains
  local_parts = known
  transport = nowhere
begin transports
nowhere:
  driver = appendfile
  file = /dev/null
begin authenticators
{authenticators}
"""
NO_TLS = "tls_advertise_hosts =\n"
LAST = {"data": "  discard\n"}


@contextmanager
def running(home: Path, conditions: dict[str, dict[str, str]]) -> Iterator[dict[str, int]]:
    """Start a daemon for each condition; give their ports. conditions: `main`, `authenticators`, and ACLs by step."""
    debian.require_root()
    usr = debian.unpack(*PACKAGES) / "usr"
    home.chmod(0o755)
    (home / "passwd").write_text("root:x:0:0::/:/bin/sh\nDebian-exim:x:8:8::/:/bin/sh\nmail:x:8:8::/:/bin/sh\n")
    (home / "group").write_text("root:x:0:\nDebian-exim:x:8:\nmail:x:8:\n")
    wrapper = next(usr.glob("lib/*/libnss_wrapper.so"))
    environment = {
        "PATH": os.environ["PATH"],
        "LD_LIBRARY_PATH": debian.library_path(usr),
        "LD_PRELOAD": str(wrapper),
        "NSS_WRAPPER_PASSWD": str(home / "passwd"),
        "NSS_WRAPPER_GROUP": str(home / "group"),
    }
    ports = {name: free_port() for name in conditions}
    daemons = [
        _start(usr / "sbin/exim4", home / name, ports[name], condition, environment)
        for name, condition in conditions.items()
    ]
    try:
        for port in ports.values():
            eventually(lambda port=port: _listens(port))
        yield ports
    finally:
        for daemon in daemons:
            os.killpg(daemon.pid, signal.SIGTERM)
            daemon.wait(10)


def _start(
    program: Path, home: Path, port: int, condition: dict[str, str], environment: dict[str, str]
) -> "subprocess.Popen[bytes]":
    (home / "spool").mkdir(parents=True)
    for folder in (home, home / "spool"):
        shutil.chown(folder, 8, 8)
    config = CONFIG.format(
        home=home,
        port=port,
        program=program,
        main=condition.get("main", "") if "tls_" in condition.get("main", "") else NO_TLS + condition.get("main", ""),
        authenticators=condition.get("authenticators", ""),
        hooks="\n".join(f"acl_smtp_{step} = check_{step}" for step in STEPS),
        lists="\n".join(f"check_{step}:\n{condition.get(step, '')}{LAST.get(step, '  accept')}" for step in STEPS),
    )
    (home / "exim.conf").write_text(config)
    return subprocess.Popen(
        [program, "-C", home / "exim.conf", "-bdf"],
        env=environment,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=die_with_parent,
    )


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
