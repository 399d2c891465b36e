"""Build a model in a process of its own: it reads libraries, writes the folder it is given, and has limits.

A model folder from elsewhere is parsed by three libraries in C++ and Rust. Whatever it does to them ends with this
process. Started as `python -m localsearch.models.builder FOLDER`, with its card on its standard input.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from signal import SIGKILL, SIGXCPU, Signals
from typing import IO, Annotated

import msgspec

from localsearch.errors import ModelDamagedError, ModelError, ModelFormatError, UnavailableError
from localsearch.models.bert import unusable
from localsearch.models.cards import CALIBRATION, Card
from localsearch.platform.confine import Room, confine, set_limit
from localsearch.platform.interpreter import environment

_MODULE = "localsearch.models.builder"
LIBRARIES = ("numpy", "msgspec", "onnx", "onnxruntime", "tokenizers", "google.protobuf")
_PROCESSOR = ("/proc/cpuinfo", "/sys/devices/system/cpu")
"""Where is told what the processor can."""
_MEMORY = 3_000_000_000
_OF_WEIGHTS = 5
"""Bytes that may be allocated for each byte of weights: a copy in fp32 and the graphs in the making."""
_WALL_S, _CPU_S = 900, 600
_LONGEST_REPLY = 1_000_000
_REFUSALS = {kind.code: kind for kind in (ModelFormatError, ModelDamagedError)}


class Done(msgspec.Struct):
    """What came of it: the sizes of the model, or a refusal in words."""

    dimensions: Annotated[int, msgspec.Meta(ge=0, le=1 << 20)] = 0
    max_tokens: Annotated[int, msgspec.Meta(ge=0, le=1 << 20)] = 0
    refusal: str = ""
    message: Annotated[str, msgspec.Meta(max_length=2000)] = ""
    hint: Annotated[str, msgspec.Meta(max_length=2000)] = ""
    exportable: bool = False


def build(card: Card, folder: Path) -> Card:
    """Write the graphs into `folder`, which holds the model's files; return the card with its sizes made exact.

    Raises ModelFormatError and ModelDamagedError as `convert` does, and for a model that breaks the process or its
    limits; UnavailableError when no process can be started.
    """
    seconds = _WALL_S + _extra_seconds(folder)
    with tempfile.TemporaryFile() as replies, tempfile.TemporaryFile() as errors:
        try:
            status = subprocess.run(
                [sys.executable, "-m", _MODULE, str(folder)],
                input=msgspec.json.encode(card),
                stdout=replies,
                stderr=errors,
                env=environment("PATH"),
                timeout=seconds,
            ).returncode
        except subprocess.TimeoutExpired:
            raise unusable(f"building it takes more than {seconds} s") from None
        except OSError as error:
            raise UnavailableError(
                f"the process that builds models cannot be started: {error.strerror}",
                hint="Run `localsearch doctor`.",
            ) from error
        done = _reply(replies, status, errors)
    (folder / CALIBRATION).unlink(missing_ok=True)
    if done.refusal:
        kind = _REFUSALS.get(done.refusal, ModelFormatError)
        raise kind(done.message, hint=done.hint, **({"exportable": True} if done.exportable else {}))
    return replace(card, dimensions=done.dimensions, max_tokens=done.max_tokens)


def main(arguments: list[str]) -> None:
    """Confine this process, build, and write a Done to standard output."""
    folder = Path(arguments[0])
    card = msgspec.json.decode(sys.stdin.buffer.read(), type=Card)
    size = _given(folder)
    set_limit(resource.RLIMIT_CPU, _CPU_S + _extra_seconds(folder))
    confine(
        Room(
            _MEMORY + _OF_WEIGHTS * size,
            LIBRARIES,
            readable=_PROCESSOR,
            writable=folder,
            longest=1 << 32,
            mapped=4 * size,
        )
    )
    sys.stdout.buffer.write(msgspec.json.encode(_built(card, folder)))
    sys.stdout.flush()
    os._exit(0)  # what the libraries do at the end of a process is not waited for


def _built(card: Card, folder: Path) -> Done:
    from localsearch.models.convert import convert

    try:
        card = convert(card, folder)
    except ModelError as error:
        exportable = bool(error.data.get("exportable"))
        return Done(0, 0, error.code, error.message[:2000], error.hint[:2000], exportable)
    except MemoryError:
        return _refused("building it takes more memory than a model of its size may")
    except BaseException as error:  # Rust's panics, and whatever onnx and ONNX Runtime raise
        return _refused(f"it cannot be built: {' '.join(str(error).split())[:300] or type(error).__name__}")
    return Done(card.dimensions, card.max_tokens)


def _reply(replies: IO[bytes], status: int, errors: IO[bytes]) -> Done:
    """The answer of the process, or what its end tells where it gave none."""
    if status:
        return _refused(f"the process that builds it ended: {_cause(status, errors)}")
    replies.seek(0)
    try:
        return msgspec.json.decode(replies.read(_LONGEST_REPLY), type=Done)
    except msgspec.DecodeError:
        return _refused("the process that builds it answered nonsense")


def _cause(status: int, errors: IO[bytes]) -> str:
    if status == -SIGXCPU:
        return "it took more processor time than a model of its size may"
    errors.seek(0)
    words = errors.read(100_000).decode("utf-8", "replace")
    if status == -SIGKILL or "MemoryError" in words or "memory allocation" in words or "bad_alloc" in words:
        return "it took more memory than a model of its size may"
    last = (words.strip().splitlines() or [""])[-1][:300]
    return f"{Signals(-status).name if status < 0 else f'status {status}'} {last}".strip()


def _refused(why: str) -> Done:
    error = unusable(why)
    return Done(refusal=error.code, message=error.message, hint=error.hint)


def _extra_seconds(folder: Path) -> int:
    """A second more for each MB of the model."""
    return _given(folder) // 1_000_000


def _given(folder: Path) -> int:
    """Bytes of the model's files, of which weights are most, however they are packed."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    main(sys.argv[1:])
