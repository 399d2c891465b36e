"""A real nginx with the configuration of deploy/nginx, on the loopback interface, before a real server."""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving import Served, error_of, notes

from localsearch.server.keys import Keys
from localsearch.server.local_users import LocalUsers
from localsearch.settings import MB, ServerSettings
from localsearch.types import Cancelled, Progress, Report

NGINX = Path(__file__).parents[2] / "deploy" / "nginx"
OTHER = 65533
"""A user who is not the server's, as nginx is on every machine where root starts it."""


def program(name: str, package: str) -> str:
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if not found:
        pytest.skip(f"{name} is not installed (Debian's package {package})")
    return found


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@dataclass(frozen=True, slots=True)
class Front:
    """A running nginx: its port, its folder, and what trusts its certificate."""

    port: int
    folder: Path
    trust: ssl.SSLContext

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def client(self, key: str = "", **headers: str) -> httpx.Client:
        sent = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.Client(base_url=self.url, verify=self.trust, headers={**sent, **headers}, timeout=30)

    def connect(self) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", self.port), 30)
        return self.trust.wrap_socket(plain, server_hostname="localhost")

    def log(self) -> str:
        return (self.folder / "access.log").read_text()


def configured(folder: Path, port: int, server_port: int, changes: dict[str, str]) -> None:
    """The files of deploy/nginx in a folder, with its paths and ports. Each text to be changed must be there."""
    changes = {
        " /tmp/": f" {folder}/",
        "server 127.0.0.1:8765;": f"server 127.0.0.1:{server_port};",
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "/etc/localsearch/tls/": f"{folder}/",
        "/var/log/nginx/": f"{folder}/",
        **changes,
    }
    texts = {name: (NGINX / name).read_text() for name in ("nginx.conf", "localsearch.conf", "upstream.conf")}
    for old, new in changes.items():
        assert any(old in text for text in texts.values()), old
        texts = {name: text.replace(old, new) for name, text in texts.items()}
    for name, text in texts.items():
        (folder / name).write_text(text)


def certificate(folder: Path) -> ssl.SSLContext:
    """Make one for localhost, as deploy/README.md does."""
    command = [program("openssl", "openssl"), "req", "-x509", "-newkey", "ec", "-nodes", "-days", "365"]
    command += ["-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command += ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run(command, check=True, capture_output=True)
    return ssl.create_default_context(cafile=str(folder / "cert.pem"))


@contextmanager
def nginx(server_port: int, port: int, own_user: bool = False, **changes: str) -> Iterator[Front]:
    """nginx before a server, as another user than the server's where this may be chosen."""
    binary = program("nginx", "nginx-light")
    who: dict[str, Any] = {"user": OTHER, "group": OTHER, "extra_groups": []}
    who = who if os.geteuid() == 0 and not own_user else {}
    with tempfile.TemporaryDirectory(prefix="localsearch-nginx-") as name, ExitStack() as ending:
        folder = Path(name)
        configured(folder, port, server_port, changes)
        trust = certificate(folder)
        for path in (folder, *folder.iterdir()):
            os.chown(path, who.get("user", -1), who.get("group", -1))
        command = [binary, "-e", "stderr", "-p", name, "-c", f"{name}/nginx.conf"]
        tested = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False, **who)
        assert tested.returncode == 0, tested.stderr
        assert "successful" in tested.stderr
        directives = "daemon off;" + (" user root;" if os.geteuid() == 0 and own_user else "")
        process = subprocess.Popen([*command, "-g", directives], stderr=subprocess.DEVNULL, **who)
        ending.callback(process.wait, 30)
        ending.callback(process.terminate)
        wait_until(lambda: accepts(port), "nginx accepts connections")
        yield Front(port, folder, trust)


def accepts(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def wait_until(true: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, f"never: {what}"
        time.sleep(0.02)


@dataclass(frozen=True, slots=True)
class Behind:
    """nginx with a server behind it that asks for keys, and one with every right."""

    front: Front
    served: Served
    key: str


@contextmanager
def behind(
    home: Path, own_user: bool = False, changes: dict[str, str] | None = None, **server: Any
) -> Iterator[Behind]:
    port = free_port()
    settings = {"hosts": (f"localhost:{port}",), "require_keys": True, **server}
    with (
        notes(home, **settings) as served,
        nginx(served.port, port, own_user, **(changes or {})) as front,
    ):
        _, key = Keys(served.service.db).create("everything", "admin")
        served.service.keyring.refresh()
        yield Behind(front, served, key)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    with behind(tmp_path_factory.mktemp("behind") / "home") as one:
        yield one


def answered(caplog: pytest.LogCaptureFixture, *queries: str) -> list[dict[str, Any]]:
    """What the server's log says at level DEBUG of requests with one of these query strings.

    It is written after the answer has been sent, so that lines of the test before may come among them.
    """
    lines = [record.fields for record in caplog.records if record.name == "localsearch.access"]  # type: ignore[attr-defined]
    return [fields for fields in lines if fields.get("query_string") in queries]


# -- who is let in


def test_with_a_key_searches_are_answered_and_without_one_nothing_is(both: Behind) -> None:
    with both.front.client(both.key) as client, both.front.client() as nobody:
        found = client.post("/search", json={"query": "celadon glaze", "mode": "lexical"})
        assert (found.status_code, found.json()["results"][0]["id"]) == (200, "glaze")
        for refused in (nobody.get("/search?q=kiln"), nobody.get("/stats"), nobody.get("/metrics")):
            assert (refused.status_code, error_of(refused)["code"]) == (401, "key_required")
        page = nobody.get("/")
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert "default-src" in page.headers["content-security-policy"]
        assert nobody.get("/health").json() == {"status": "ok"}


def test_nginx_of_another_user_is_a_stranger_to_a_server_without_keys(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("asking as a second user needs root")
    if not LocalUsers(ServerSettings()).known:
        pytest.skip("this system does not tell whose a connection is")
    with behind(tmp_path / "home", require_keys=False) as one, one.front.client() as nobody:
        refused = nobody.get("/search?q=kiln")
        assert (refused.status_code, error_of(refused)["code"]) == (401, "key_required")
        assert one.served.client.get("/search?q=kiln").status_code == 200, "its own user, past nginx"


def test_nginx_of_the_servers_own_user_is_told_apart_by_required_keys_alone(tmp_path: Path) -> None:
    with behind(tmp_path / "home", own_user=True) as one, one.front.client() as nobody:
        assert nobody.get("/search?q=kiln").status_code == 401


def test_the_server_sees_the_name_that_was_asked_for_and_knows_its_own(both: Behind) -> None:
    with both.front.client(both.key) as client:
        for name in ("evil.example", "localhost", f"localhost:{both.front.port + 1}"):
            refused = client.get("/search?q=kiln", headers={"Host": name})
            assert (refused.status_code, error_of(refused)["code"]) == (403, "bad_host"), name
        own = client.post("/search", json={"query": "kiln"}, headers={"Origin": both.front.url})
        assert own.status_code == 200
        other = client.post("/search", json={"query": "kiln"}, headers={"Origin": "https://evil.example"})
        assert (other.status_code, error_of(other)["code"]) == (403, "bad_origin")


def test_what_a_client_says_of_its_address_is_believed_by_nobody(
    both: Behind, caplog: pytest.LogCaptureFixture
) -> None:
    claims = {"X-Forwarded-For": "203.0.113.9", "X-Real-IP": "203.0.113.9", "Forwarded": "for=203.0.113.9"}
    with caplog.at_level("DEBUG", "localsearch.access"), both.front.client(both.key, **claims) as client:
        logging.getLogger("localsearch").propagate = True
        answer = client.get("/search?q=propolis", headers={"X-Request-Id": "chosen-by-the-client"})
        id = answer.headers["x-request-id"]
        assert id != "chosen-by-the-client"
        wait_until(lambda: id in both.front.log(), "nginx writes its line")
        wait_until(lambda: bool(answered(caplog, "q=propolis")), "the server writes its line")
    (fields,) = answered(caplog, "q=propolis")
    assert fields["client"] == "127.0.0.1"
    (line,) = [line for line in both.front.log().splitlines() if line.endswith(id)]
    assert line.split()[1:4] == ["127.0.0.1", "GET", "200"]
    assert "203.0.113.9" not in both.front.log()


def test_nginx_writes_down_neither_questions_nor_keys(both: Behind) -> None:
    with both.front.client() as client:
        answer = client.get("/search", params={"q": "a private question", "token": both.key})
        assert answer.status_code == 200
    wait_until(lambda: answer.headers["x-request-id"] in both.front.log(), "nginx writes its line")
    assert "private" not in both.front.log()
    assert both.key not in both.front.log()


def test_old_tls_is_refused_and_http_2_is_offered(both: Behind) -> None:
    def agreed(lowest: ssl.TLSVersion, highest: ssl.TLSVersion) -> tuple[str | None, str | None]:
        trust = ssl.create_default_context(cafile=str(both.front.folder / "cert.pem"))
        trust.set_ciphers("ALL:@SECLEVEL=0")
        trust.set_alpn_protocols(["h2", "http/1.1"])
        trust.minimum_version, trust.maximum_version = lowest, highest
        with (
            socket.create_connection(("127.0.0.1", both.front.port), 30) as plain,
            trust.wrap_socket(plain, server_hostname="localhost") as one,
        ):
            return one.version(), one.selected_alpn_protocol()

    version = ssl.TLSVersion
    assert agreed(version.TLSv1_2, version.TLSv1_3) == ("TLSv1.3", "h2")
    assert agreed(version.TLSv1_2, version.TLSv1_2) == ("TLSv1.2", "h2")
    with pytest.warns(DeprecationWarning, match="TLSv1"), pytest.raises((ssl.SSLError, ConnectionError)):
        agreed(version.TLSv1, version.TLSv1_1)


# -- what goes through


def test_ids_that_are_paths_arrive_as_they_were_sent(both: Behind) -> None:
    ids = ("/home/a b/ü?.md", "//two//slashes.md", "a/./b/../c.md", "100%.md", "semi;colon#hash.md")
    with both.front.client(both.key) as client:
        documents = [{"id": id, "text": f"The text of {id}"} for id in ids]
        assert client.post("/documents", json={"documents": documents}).status_code == 200
        for id in ids:
            quoted = "".join(f"%{byte:02X}" for byte in id.encode())
            found = client.get(f"/documents/{quoted}")
            assert (found.status_code, found.json().get("id")) == (200, id), found.text
            assert client.delete(f"/documents/{quoted}").status_code == 200


def test_a_large_upload_is_taken_and_one_beyond_the_limit_is_refused(both: Behind) -> None:
    filler = "clay slip bisque cone wedging " * 1000
    documents = [{"id": f"large-{number}", "text": f"{filler} marker{number}"} for number in range(90)]
    with both.front.client(both.key) as client:
        taken = client.post("/documents", json={"documents": documents})
        assert taken.status_code == 202, taken.text
        assert len(taken.request.content) > 2_500_000
        job = f"/jobs/{taken.json()['job']['id']}"
        wait_until(lambda: client.get(job).json()["state"] == "done", "the documents are indexed")
        found = client.post("/search", json={"query": "marker89", "mode": "lexical"}).json()
        assert [hit["id"] for hit in found["results"]] == ["large-89"]
        limits = both.served.service.settings.server.limits
        kind = {"Content-Type": "application/json"}
        for path, most in (
            ("/documents", limits.documents_mb * MB),
            ("/search", limits.body_kb * MB // 1000),
        ):
            as_much = client.post(path, content=b" " * most, headers=kind)
            assert (as_much.status_code, error_of(as_much)["code"]) == (400, "bad_request"), (
                "read, and no JSON"
            )
            refused = client.post(path, content=b" " * (most + 1), headers=kind)
            assert (refused.status_code, error_of(refused)["code"]) == (413, "too_large")


def test_events_come_through_one_by_one(tmp_path: Path) -> None:
    steps = [threading.Event() for _ in range(3)]

    def step_by_step(payload: Any, report: Report, cancelled: Cancelled) -> dict[str, Any]:
        for number, go in enumerate(steps):
            report(Progress("count", number, len(steps), "steps", ""))
            go.wait(60)
        return {}

    # nginx must not buffer by its own configuration, whatever header the server sends.
    ignoring = {"proxy_buffering off;": "proxy_buffering off; proxy_ignore_headers X-Accel-Buffering;"}
    with behind(tmp_path / "home", changes=ignoring) as one, one.front.client(one.key) as client:
        one.served.service.jobs._handlers = {"index": step_by_step}
        id = one.served.service.jobs.submit("index", 1).id
        with client.stream("GET", f"/jobs/{id}/events") as answer:
            assert answer.headers["content-type"] == "text/event-stream"
            seen = (
                json.loads(line.removeprefix("data: "))
                for line in answer.iter_lines()
                if line.startswith("data: ")
            )
            for number, go in enumerate(steps):
                event = next(event for event in seen if event["progress"]["stage"])
                while event["progress"]["done"] < number:
                    event = next(seen)
                assert (event["state"], event["progress"]["done"]) == ("running", number)
                go.set()
            assert [event["state"] for event in seen][-1] == "done"


def test_mcp_is_answered(both: Behind) -> None:
    said = {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    }
    request = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": said}
    with both.front.client(both.key, Accept="application/json, text/event-stream") as client:
        answer = client.post("/mcp", json=request)
    assert answer.status_code == 200, answer.text
    assert '"serverInfo"' in answer.text


# -- clients who are slow, and many


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    """As configured, but with a second for every ten."""
    changes = {
        f"{name}_timeout 10s;": f"{name}_timeout 1s;" for name in ("client_header", "client_body", "send")
    }
    with behind(tmp_path_factory.mktemp("impatient") / "home", changes=changes) as one:
        yield one


def ending(connection: ssl.SSLSocket) -> bytes:
    """What is sent until the other side hangs up."""
    got = b""
    with connection:
        try:
            while more := connection.recv(65536):
                got += more
        except (ConnectionError, ssl.SSLError):
            pass
    return got


def test_a_head_that_never_ends_is_cut(impatient: Behind) -> None:
    slow = impatient.front.connect()
    slow.sendall(b"GET /search?q=kiln HTTP/1.1\r\nHost: loc")
    with impatient.front.client(impatient.key) as client:
        assert client.get("/search?q=kiln").status_code == 200, "others are answered meanwhile"
    assert b" 200 " not in ending(slow)


def test_a_body_that_stops_is_cut_before_it_reaches_the_server(
    impatient: Behind, caplog: pytest.LogCaptureFixture
) -> None:
    host = f"localhost:{impatient.front.port}"
    head = f"POST /search?cut HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {impatient.key}\r\n"
    head += "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n"
    with caplog.at_level("DEBUG", "localsearch.access"):
        logging.getLogger("localsearch").propagate = True
        slow = impatient.front.connect()
        slow.sendall(head.encode() + b'{"query": ')
        assert b" 200 " not in ending(slow)
        with impatient.front.client(impatient.key) as client:
            assert client.get("/search?q=propolis").status_code == 200
        wait_until(lambda: bool(answered(caplog, "q=propolis")), "the server writes its line")
    assert [fields["method"] for fields in answered(caplog, "cut", "q=propolis")] == ["GET"]


def test_a_client_that_does_not_read_is_cut_and_holds_nothing_of_the_server(impatient: Behind) -> None:
    host = f"localhost:{impatient.front.port}"
    ask = f"GET /openapi.json HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    slow = impatient.front.connect()
    slow.settimeout(5)
    cut = False
    until = time.monotonic() + 60
    while not cut and time.monotonic() < until:
        try:
            slow.sendall(ask)  # asks for more and more, and reads nothing
            time.sleep(0.01)
        except TimeoutError:
            continue  # its requests are not read any more: nginx waits for it to take the answers
        except (ConnectionError, ssl.SSLError):
            cut = True
    slow.close()
    assert cut
    with impatient.front.client(impatient.key) as client:
        assert client.get("/search?q=kiln").status_code == 200


def test_an_address_that_asks_too_much_is_told_so(tmp_path: Path) -> None:
    changes = {"rate=20r/s": "rate=1r/m", "burst=100": "burst=2"}
    with behind(tmp_path / "home", changes=changes) as one, one.front.client(one.key) as client:
        answers = [client.get("/search?q=kiln") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert error_of(answers[-1])["code"] == "too_many_requests"
    assert answers[-1].headers["retry-after"] == "1"


# -- a server that comes and goes


@contextmanager
def program_at(home: Path, port: int) -> Iterator[None]:
    """`localsearch serve` as a process of its own."""
    command = [
        sys.executable,
        "-m",
        "localsearch",
        "--home",
        str(home),
        "--offline",
        "serve",
        "--port",
        str(port),
    ]
    environment = {**os.environ, "LOCALSEARCH_MODELS": str(home / "no-models")}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: accepts(port) or process.poll() is not None, "the server accepts connections")
        assert process.poll() is None, "the server ended"
        yield
    finally:
        process.terminate()
        process.wait(60)


def test_a_restart_of_the_server_needs_none_of_nginx(tmp_path: Path) -> None:
    home, port, server_port = tmp_path / "home", free_port(), free_port()
    home.mkdir()
    (home / "settings.toml").write_text(f'[server]\nhosts = ["localhost:{port}"]\nrequire_keys = true\n')
    command = [sys.executable, "-m", "localsearch", "--home", str(home), "-q", "keys", "create", "test"]
    key = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1]
    with nginx(server_port, port) as front, front.client(key) as client:
        for _ in range(2):
            away = client.get("/search?q=kiln")
            assert (away.status_code, error_of(away)["code"]) == (503, "unavailable")
            assert away.headers["retry-after"] == "5"
            with program_at(home, server_port):
                answers = [client.get("/search?q=kiln") for _ in range(3)]
                assert [answer.status_code for answer in answers] == [200, 200, 200]
