"""nginx before two readers and a primary, as docs/SCALING.md sets it up: one reader killed loses no request."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from replicas import add, open_index, shipped

DOCS = Path(__file__).parents[2] / "docs" / "SCALING.md"
CONF = """
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/bodies;
    proxy_temp_path {folder}/answers;
    fastcgi_temp_path {folder}/f;
    scgi_temp_path {folder}/s;
    uwsgi_temp_path {folder}/u;
    upstream localsearch {{ server 127.0.0.1:{primary}; }}
    {upstream}
    server {{
        listen 127.0.0.1:{port};
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
        {location}
        location / {{ proxy_pass http://localsearch; }}
    }}
}}
"""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def snippet(name: str, ports: list[int]) -> str:
    """A block of the page, with the ports of the test for its addresses."""
    text = DOCS.read_text("utf-8")
    found = re.search(rf"^    {name} .*?^    }}$", text, re.S | re.M)
    assert found, name
    addresses = iter(ports)
    return re.sub(r"10\.0\.0\.\d:8765", lambda _: f"127.0.0.1:{next(addresses)}", found[0])


@contextmanager
def command(home: Path, port: int, front: int, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    home.mkdir(exist_ok=True)
    (home / "settings.toml").write_text(
        f'models = "{home}/none"\noffline = true\n[server]\ntrust_local_users = true\nfollow_s = 0.2\n'
        f'hosts = ["127.0.0.1:{front}"]\n'
    )
    argv = [sys.executable, "-m", "localsearch", "--home", str(home), "serve", "--port", str(port), *words]
    popen = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until_it_answers(port)
        yield popen
    finally:
        popen.terminate()
        popen.wait(60)


def until_it_answers(port: int) -> None:
    end = time.monotonic() + 60
    while True:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < end, "it never answered"
        time.sleep(0.05)


def test_a_reader_that_is_killed_loses_no_request(tmp_path: Path) -> None:
    binary = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/bin")
    if not binary:
        pytest.skip("nginx is not installed (Debian's package nginx-light)")
    with open_index(tmp_path / "home") as engine:
        add(engine, 0, 40)
        shipped(engine, tmp_path / "to")
    ports = [free_port() for _ in range(4)]
    port, primary, *readers = ports
    with ExitStack() as stack:
        stack.enter_context(command(tmp_path / "home", primary, port, "--workers", "1"))
        processes = [
            stack.enter_context(command(tmp_path / f"reader{n}", at, port, "--follow", str(tmp_path / "to")))
            for n, at in enumerate(readers)
        ]
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="localsearch-nginx-")))
        upstream = snippet("upstream localsearch_readers", readers)
        location = snippet("location ~", readers)
        conf = CONF.format(folder=folder, port=port, primary=primary, upstream=upstream, location=location)
        (folder / "nginx.conf").write_text(conf)
        argv = [binary, "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")]
        front = subprocess.Popen([*argv, "-g", "daemon off;"], stderr=subprocess.DEVNULL)
        stack.callback(front.wait, 30)
        stack.callback(front.terminate)
        until_it_answers(port)
        answers: list[tuple[int, int]] = []
        stop = threading.Event()

        def ask() -> None:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
                while not stop.is_set():
                    answer = client.post("/search", json={"query": "kiln glaze"})
                    answers.append((answer.status_code, len(answer.json().get("results", ()))))

        asking = [threading.Thread(target=ask) for _ in range(4)]
        for thread in asking:
            thread.start()
        time.sleep(0.5)
        before = len(answers)
        processes[0].kill()
        time.sleep(1.5)
        stop.set()
        for thread in asking:
            thread.join()
        assert set(answers) == {(200, 5)}
        assert len(answers) > before > 0
        body = {"documents": [{"id": "new", "text": "zebra"}]}
        written = httpx.post(f"http://127.0.0.1:{port}/documents", json=body, timeout=30)
        assert written.status_code == 200, "writes go to the primary"
