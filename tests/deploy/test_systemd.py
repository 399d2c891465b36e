"""The units and the desktop entry of deploy/: found sound by systemd's and the desktop's own tools, and run."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from serving import PLAIN

from localsearch.settings import ServerSettings

DEPLOY = Path(__file__).parents[2] / "deploy"
SYSTEMD = DEPLOY / "systemd"
SCOPES = ("system", "user")


def program(name: str, package: str) -> str:
    found = shutil.which(name)
    if not found:
        pytest.skip(f"{name} is not installed (Debian's package {package})")
    return found


def localsearch() -> str:
    """The command as it is installed beside this Python."""
    command = Path(sys.executable).with_name("localsearch")
    if not command.exists():
        pytest.skip("the package is not installed beside this Python")
    return str(command)


def values(scope: str, name: str = "localsearch.service") -> dict[str, list[str]]:
    """What a unit says: each name with its values, of all sections."""
    found: dict[str, list[str]] = {}
    for line in (SYSTEMD / scope / name).read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def tool(arguments: Sequence[str], folder: Path) -> str:
    """What systemd-analyze says; it must find no fault."""
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(folder / "run")}
    (folder / "run" / "systemd").mkdir(parents=True, exist_ok=True)
    command = [program("systemd-analyze", "systemd"), "--no-pager", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("scope", SCOPES)
def test_systemd_finds_no_fault(scope: str, tmp_path: Path) -> None:
    for name in ("localsearch.service", "localsearch.socket"):
        text = (SYSTEMD / scope / name).read_text()
        # The tool wants the program to be there.
        (tmp_path / name).write_text(re.sub(r"(?m)^ExecStart=\S+", f"ExecStart={localsearch()}", text))
    units = [str(tmp_path / name) for name in ("localsearch.service", "localsearch.socket")]
    said = tool([f"--{scope}", "--man=no", "verify", *units], tmp_path)
    assert "localsearch" not in said, said


@pytest.mark.parametrize(("scope", "most"), [("system", 1.3), ("user", 6.5)])
def test_the_units_are_exposed_no_more_than_the_docs_say(scope: str, most: float, tmp_path: Path) -> None:
    unit = SYSTEMD / scope / "localsearch.service"
    said = tool([f"--{scope}", "security", "--offline=true", str(unit)], tmp_path)
    found = re.search(r"Overall exposure level for localsearch.service: ([0-9.]+)", said)
    assert found
    assert float(found[1]) <= most


@contextmanager
def serving(
    command: Sequence[str], home: Path, more: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A server as a service manager starts it; what it says is a pipe, and it ends well when asked to."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(home), "LOCALSEARCH_MODELS": str(home / "no-models")}
    environment |= {"PYTHONUNBUFFERED": "1", "LOCALSEARCH_OFFLINE": "1", **(more or {})}
    process = subprocess.Popen(
        command, env=environment, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


def address(process: subprocess.Popen[str]) -> str:
    """What it says that it serves on."""
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"serving on (http://\S+)", line):
            return found[1]
    raise AssertionError("it never served")


@pytest.mark.parametrize("scope", SCOPES)
def test_what_the_unit_starts_serves_and_ends_when_asked(scope: str, tmp_path: Path) -> None:
    (line,) = values(scope)["ExecStart"]
    started, *arguments = shlex.split(line)
    assert Path(started).name == "localsearch"
    said = dict(word.split("=", 1) for line in values(scope).get("Environment", []) for word in line.split())
    home = tmp_path / "state"
    said |= {"LOCALSEARCH_HOME": str(home)} if scope == "system" else {"XDG_DATA_HOME": str(tmp_path)}
    with serving([localsearch(), *arguments, "--port", "0"], tmp_path, said) as process:
        url = address(process)
        assert httpx.get(f"{url}/health", verify=PLAIN).json() == {"status": "ok"}
        assert httpx.get(f"{url}/search?q=kiln", verify=PLAIN).status_code == 200
    if scope == "system":
        assert said["LOCALSEARCH_HOME"] == str(home)
        assert values("system")["StateDirectory"] == ["localsearch"]
        assert "LOCALSEARCH_HOME=/var/lib/localsearch" in values("system")["Environment"][0]
        assert (home / "owner.lock").exists()


def activated(port: int, arguments: Sequence[str], listen: Sequence[str] = ()) -> list[str]:
    """A command that listens as a unit's socket does, and starts the server with the first connection."""
    sockets = [f"--listen={one}" for one in (listen or (f"127.0.0.1:{port}",))]
    command = [program("systemd-socket-activate", "systemd"), *sockets]
    names = ("HOME", "LOCALSEARCH_MODELS", "LOCALSEARCH_OFFLINE", "LOCALSEARCH_HOME", "PYTHONUNBUFFERED")
    command += [f"--setenv={name}" for name in names]
    return [*command, "--", localsearch(), *arguments]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def first_answer(url: str, seconds: float = 60.0) -> httpx.Response:
    """Ask until somebody listens, then wait for the answer."""
    until = time.monotonic() + seconds
    while True:
        try:
            return httpx.get(url, timeout=seconds, verify=PLAIN)
        except httpx.ConnectError:
            assert time.monotonic() < until
            time.sleep(0.02)


def test_the_first_connection_to_the_socket_starts_it_and_is_answered(tmp_path: Path) -> None:
    for scope in SCOPES:
        host, _, port = values(scope, "localsearch.socket")["ListenStream"][0].partition(":")
        assert (host, int(port)) == (ServerSettings().host, ServerSettings().port)
    port, home = free_port(), tmp_path / "home"
    home.mkdir()
    # The address is that of the socket, whatever is written here.
    (home / "settings.toml").write_text('[server]\nhost = "0.0.0.0"\nport = 1\n')
    arguments = shlex.split(values("system")["ExecStart"][0])[1:]
    with serving(activated(port, arguments), tmp_path, {"LOCALSEARCH_HOME": str(home)}) as process:
        assert first_answer(f"http://127.0.0.1:{port}/search?q=kiln").status_code == 200
        assert address(process) == f"http://127.0.0.1:{port}"
        assert httpx.get(f"http://127.0.0.1:{port}/health", verify=PLAIN).json() == {"status": "ok"}


def connected(path: Path, seconds: float = 60.0) -> socket.socket:
    """A connection to a socket in the file system, once somebody listens there."""
    until = time.monotonic() + seconds
    while True:
        one = socket.socket(socket.AF_UNIX)
        try:
            one.connect(str(path))
            return one
        except OSError:
            one.close()
            assert time.monotonic() < until
            time.sleep(0.02)


@pytest.mark.parametrize("kind", ["two", "a path"])
def test_other_sockets_than_one_of_tcp_are_refused_with_a_word(kind: str, tmp_path: Path) -> None:
    port = free_port()
    listen = [f"127.0.0.1:{port}", str(tmp_path / "socket")]
    listen = listen if kind == "two" else listen[1:]
    environment = {
        "HOME": str(tmp_path),
        "LOCALSEARCH_HOME": str(tmp_path / "home"),
        "LOCALSEARCH_OFFLINE": "1",
    }
    command = activated(port, ["serve"], listen)
    with (
        subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process,
        connected(tmp_path / "socket"),
    ):
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert "something else than one TCP socket" in said
    assert "ListenStream=127.0.0.1:8765" in said


def test_variables_meant_for_another_process_are_none_of_ours(tmp_path: Path) -> None:
    others = {"LISTEN_PID": "1", "LISTEN_FDS": "1"}
    with serving(
        [localsearch(), "--home", str(tmp_path / "home"), "serve", "--port", "0"], tmp_path, others
    ) as process:
        assert httpx.get(f"{address(process)}/health", verify=PLAIN).status_code == 200


def test_the_desktop_entry_opens_the_page_of_a_server_as_it_is_set_up() -> None:
    entry = DEPLOY / "desktop" / "localsearch.desktop"
    command = [program("desktop-file-validate", "desktop-file-utils"), str(entry)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(entry, encoding="utf-8")
    opener, url = shlex.split(parser["Desktop Entry"]["Exec"])
    parts, server = urlsplit(url), ServerSettings()
    assert (opener, parts.hostname, parts.port, parts.path) == ("xdg-open", server.host, server.port, "/")
