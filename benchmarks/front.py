"""nginx with the files of deploy/nginx and deploy/scale, before a primary and readers on loopback, as a process."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import ROOT

DEPLOY = ROOT / "deploy"
FILES = (
    "nginx/nginx.conf",
    "nginx/localsearch.conf",
    "scale/upstream.conf",
    "scale/localsearch-readers.conf",
)
PLAIN = {"listen 443 ssl http2;": "listen 443;"}
"""Without TLS, for measuring what nginx itself costs."""
UNLIMITED = {"rate=20r/s": "rate=100000r/s", "burst=100": "burst=10000"}
"""Every client of a test has the same address, whose requests nginx counts."""


@dataclass(frozen=True, slots=True)
class Front:
    """A running nginx: its port, the folder with its files and certificate, and its process."""

    port: int
    folder: Path
    pid: int


def program() -> str:
    """Where nginx is. Raises FileNotFoundError."""
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if not found:
        raise FileNotFoundError("nginx is not installed (Debian's package nginx-light)")
    return found


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def write(folder: Path, port: int, primary: int, readers: Sequence[int], changes: Mapping[str, str]) -> None:
    """Write the files, with the folder's paths and these ports. Each text that is changed must be there."""
    texts = {Path(name).name: (DEPLOY / name).read_text("utf-8") for name in FILES}
    for old, new in changes.items():
        _replace(texts, old, new)
    _replace(texts, " /tmp/", f" {folder}/")
    _replace(texts, "/etc/localsearch/tls/", f"{folder}/")
    _replace(texts, "/var/log/nginx/", f"{folder}/")
    _replace(texts, "listen 443", f"listen 127.0.0.1:{port}")
    _replace(texts, "server primary:8765", f"server 127.0.0.1:{primary}")
    lines = iter(readers)
    named = re.compile(r"^( *)server reader\d:8765(.*)$\n", re.M)
    wanted = len(named.findall(texts["upstream.conf"]))
    if wanted != len(readers):
        raise ValueError(f"upstream.conf has {wanted} readers, not {len(readers)}")
    texts["upstream.conf"] = named.sub(
        lambda line: f"{line[1]}server 127.0.0.1:{next(lines)}{line[2]}\n", texts["upstream.conf"]
    )
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")


def _replace(texts: dict[str, str], old: str, new: str) -> None:
    if not any(old in text for text in texts.values()):
        raise ValueError(f"no file of nginx has {old!r}")
    for name, text in texts.items():
        texts[name] = text.replace(old, new)


def certify(folder: Path) -> None:
    """Make a certificate for localhost, as deploy/README.md does."""
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    command += ["-days", "365", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command += ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run(command, check=True, capture_output=True)


@contextmanager
def nginx(
    port: int, primary: int, readers: Sequence[int], changes: Mapping[str, str] | None = None
) -> Iterator[Front]:
    """Check the files with `nginx -t`, and serve until the block ends."""
    with tempfile.TemporaryDirectory(prefix="localsearch-front-") as name:
        folder = Path(name)
        write(folder, port, primary, readers, changes or {})
        certify(folder)
        command = [program(), "-e", "stderr", "-p", name, "-c", f"{name}/nginx.conf"]
        tested = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
        if tested.returncode:
            raise ValueError(tested.stderr)
        # The servers' own user, where root is that: files of the folder are nobody else's.
        directives = "daemon off;" + (" user root;" if os.geteuid() == 0 else "")
        with (folder / "error.log").open("wb") as errors:
            process = subprocess.Popen([*command, "-g", directives], stderr=errors)
        try:
            _until_it_accepts(port)
            yield Front(port, folder, process.pid)
        finally:
            process.terminate()
            process.wait(30)


def _until_it_accepts(port: int) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise TimeoutError("nginx does not accept connections")
