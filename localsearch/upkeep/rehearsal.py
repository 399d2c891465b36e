"""A small run through everything that localsearch does, in an index of its own. `airgap` starts and watches it.

Run as `python -m localsearch.upkeep.rehearsal FOLDER`, with the settings to try in FOLDER/home; prints a line of JSON
for each step. Each step runs the program as a person would, in a process of its own. What Python itself asks of the
network there is written into FOLDER/asked, which is all that is known where strace is missing.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import runpy
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_WORDS = "Let the kiln cool for a whole day before you open its door."
_ON_THE_PICTURE = "CELADON GLAZE"
_LONGEST_S = 300
_LINGER_S = 5
"""How long the server stays after its answers: a library that reports its use does so seconds later."""
_ASKS = ("socket.connect", "socket.sendto", "socket.sendmsg")
_LOOKS_UP = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo")


def main(folder: Path) -> None:
    """Run each step and print what became of it."""
    (folder / "notes").mkdir()
    steps: dict[str, Callable[[Path], str]] = {
        "index": _index,
        "search": _search,
        "serve": _serve,
        "mcp": _mcp,
        "backup": _backup,
    }
    for name, step in steps.items():
        try:
            outcome = {"step": name, "ok": True, "said": step(folder)}
        except (OSError, ValueError, LookupError, RuntimeError, subprocess.SubprocessError) as error:
            outcome = {"step": name, "ok": False, "said": f"{type(error).__name__}: {error}"[-2000:]}
        print(json.dumps(outcome), flush=True)


def watched(log: str) -> None:
    """Run localsearch with this process's arguments, and write down what Python asks of the network."""
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(event: str, values: tuple[Any, ...]) -> None:
        if event in _ASKS or event in _LOOKS_UP:
            asked = values[1] if event in _ASKS else values[0]
            os.write(file, json.dumps([event, asked], default=str).encode() + b"\n")

    sys.addaudithook(note)
    runpy.run_module("localsearch", run_name="__main__", alter_sys=True)


def _command(folder: Path, *words: str) -> list[str]:
    code = f"import sys; from localsearch.upkeep.rehearsal import watched; watched({str(folder / 'asked')!r})"
    return [sys.executable, "-c", code, "--home", str(folder / "home"), *words]


def _run(folder: Path, *words: str) -> str:
    done = subprocess.run(_command(folder, *words), capture_output=True, text=True, timeout=_LONGEST_S)
    if done.returncode:
        raise RuntimeError(f"`localsearch {words[0]}` ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def _index(folder: Path) -> str:
    (folder / "notes" / "kiln.md").write_text(f"# Kiln\n\n{_WORDS}\n", "utf-8")
    _draw(folder / "notes" / "glaze.png")
    files = json.loads(_run(folder, "--json", "index", str(folder / "notes")))["files"]
    if files["failed"]:
        raise RuntimeError(f"{files['failed']} files could not be read")
    return "text and a picture"


def _draw(file: Path) -> None:
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.new("L", (900, 160), 255)
    ImageDraw.Draw(picture).text((40, 40), _ON_THE_PICTURE, 0, ImageFont.load_default(72))
    picture.save(file)


def _search(folder: Path) -> str:
    _found(json.loads(_run(folder, "--json", "search", "when may the kiln be opened")), "kiln.md")
    seen = json.loads(_run(folder, "--json", "search", "celadon", "--mode", "lexical"))["results"]
    return "the text of the picture, too" if seen else "the picture's text was not recognised"


def _found(answer: dict[str, Any], name: str) -> None:
    if not any(hit["path"].endswith(name) for hit in answer["results"]):
        raise LookupError(f"{name} was not found")


def _serve(folder: Path) -> str:
    with _running(folder, "serve", "--host", "127.0.0.1", "--port", "0") as server:
        assert server.stderr is not None
        said = ""
        while not (port := re.search(r"http://127\.0\.0\.1:(\d+)\n", said)):
            line = server.stderr.readline()
            said += line
            if not line:
                raise RuntimeError(f"the server did not start: {said}")
        connection = http.client.HTTPConnection("127.0.0.1", int(port[1]), timeout=60)
        owner = json.loads((folder / "home" / "owner.lock").read_bytes())
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {owner['token']}"}
        connection.request("POST", "/search", json.dumps({"query": "kiln"}), headers)
        _found(json.loads(connection.getresponse().read()), "kiln.md")
        connection.request("GET", "/", headers=headers)
        if connection.getresponse().status != 200:
            raise RuntimeError("the page was not answered")
        connection.close()
        time.sleep(_LINGER_S)
    return "a search and the page over HTTP"


def _mcp(folder: Path) -> str:
    if find_spec("mcp") is None:
        return "left out: the extra [mcp] is not installed"
    client = {"name": "rehearsal", "version": "1"}
    first = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client}
    with _running(folder, "mcp") as server:
        _ask(server, {"id": 1, "method": "initialize", "params": first})
        _ask(server, {"method": "notifications/initialized"})
        call = {"name": "search", "arguments": {"query": "kiln"}}
        answer = _ask(server, {"id": 2, "method": "tools/call", "params": call})
        if "kiln.md" not in answer:
            raise LookupError(f"kiln.md was not found: {answer[:500]}")
    return "a search over standard input"


def _ask(server: subprocess.Popen[str], message: dict[str, Any]) -> str:
    """The answer to a message; nothing to a notification."""
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    server.stdin.flush()
    return server.stdout.readline() if "id" in message else ""


def _backup(folder: Path) -> str:
    _run(folder, "backup", str(folder / "copy"))
    _run(folder, "--home", str(folder / "restored"), "restore", str(folder / "copy"))
    return "and restored"


@contextlib.contextmanager
def _running(folder: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A program that is ended with the block, or when it has taken too long."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(_command(folder, *words), stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    late = threading.Timer(_LONGEST_S, process.kill)
    late.start()
    try:
        yield process
    finally:
        late.cancel()
        process.terminate()
        process.communicate(timeout=60)


if __name__ == "__main__":
    if "--loopback" in sys.argv:
        from localsearch.platform.network import raise_loopback

        raise_loopback()
    main(Path(sys.argv[1]))
