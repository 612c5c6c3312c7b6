"""A real nginx in front of several gunicorns, with the settings of deploy/nginx that decide what it repeats."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.live_site import ROOT
from tests.support.machine import eventually, missing
from tests.support.ports import free_port
from tests.support.postgres import die_with_parent
from tests.support.site import Site

FRAME = """daemon off; worker_processes 1; pid {home}/pid; error_log {home}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log off; client_body_temp_path {home}/body; proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi; uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;
    upstream notifier {{ {servers} keepalive 16; {upstream} }}
    server {{
        listen 127.0.0.1:{port};
        {proxy}
        location / {{ proxy_pass http://notifier; }}
    }}
}}
"""


@contextmanager
def nginx(*ports: int) -> Iterator[int]:
    """The port of an nginx that shares its requests among the gunicorns at `ports`."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin") or missing("nginx", "nginx-light")
    home, port = Path(tempfile.mkdtemp(prefix="nginx-")), free_port()
    shipped = (ROOT / "deploy/nginx/notifier.conf").read_text()
    servers = "".join(f"server 127.0.0.1:{upstream} max_fails=0; " for upstream in ports)
    upstream = "".join(re.findall(r"^ +keepalive_timeout [^;]+;", shipped, re.MULTILINE))
    proxy = "".join(
        re.findall(
            r"^ +proxy_(?:http_version|set_header|connect_timeout|read_timeout|next_upstream).*?;",
            shipped,
            re.MULTILINE,
        )
    )
    config = home / "nginx.conf"
    config.write_text(FRAME.format(home=home, port=port, servers=servers, upstream=upstream, proxy=proxy))
    process = subprocess.Popen(
        [program, "-p", home, "-c", config],
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=die_with_parent,
    )
    try:
        eventually(lambda: (home / "pid").exists() and (home / "pid").read_text().strip())
        yield port
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(home, ignore_errors=True)


def second_web(site: Site) -> Site:
    """The same site on another port: of the same database and settings."""
    other = object.__new__(Site)
    vars(other).update(vars(site), port=free_port(), processes={})
    other.url = f"http://127.0.0.1:{other.port}"
    other.environment = {**site.environment, "PORT": str(other.port)}
    return other
