"""A first start of the scaled set-up from its page alone, timed: the commands of deploy/scale/README.md, as they stand.

    sudo python -m benchmarks.first_start [--out FILE]

Those under "As processes" are typed into one shell: installing and fetching the model first, the rest in namespaces of
their own for files and network, so that /etc, port 443 and the name search.example.org are nobody else's. `systemctl
restart nginx` is `nginx` there, since no systemd runs; /srv/documents is data/sample; KEY is what `keys create me` printed.
Linux and root only. One JSON object on stdout: seconds of each command, and the first answer through nginx.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import machine

PAGE = machine.ROOT / "deploy" / "scale" / "README.md"
_OUTSIDE = ("python3 -m venv", "export PATH", "localsearch models pull")
_NAMESPACES = """
ip link set lo up
mount --make-rprivate /
mkdir "$SCRATCH/over" && mount -t tmpfs tmpfs "$SCRATCH/over" && mkdir "$SCRATCH/over/up" "$SCRATCH/over/work"
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$SCRATCH/over/up,workdir=$SCRATCH/over/work" /etc
mkdir -p /srv
for folder in /var/log/nginx /run /srv; do mount -t tmpfs tmpfs $folder; done
cp -r data/sample /srv/documents
echo '127.0.0.1 search.example.org localhost' > /etc/hosts
"""
_ENDING = "nginx -s stop; kill $(jobs -p); wait || true"


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    text = json.dumps(measure(), indent=1)
    print(text)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(text + "\n", "utf-8")
    return 0


def commands() -> list[str]:
    """What the page has to be typed."""
    section = PAGE.read_text("utf-8").partition("## As processes")[2].partition("\n## ")[0]
    return re.findall(r"^    [$#] (.*)$", section, re.M)


def measure() -> dict[str, Any]:
    """Type everything; seconds by command."""
    typed = commands()
    first = [one for one in typed if one.startswith(_OUTSIDE)]
    then = [one for one in typed if not one.startswith(_OUTSIDE) or one.startswith("export PATH")]
    with tempfile.TemporaryDirectory(prefix="localsearch-first-") as name:
        outside, _ = _shell(Path(name), first, [])
        inside, said = _shell(Path(name), then, ["unshare", "-m", "-n"])
    answer = json.loads(said.splitlines()[-1])
    seconds = outside | inside
    return {
        "machine": machine.describe(),
        "seconds": seconds,
        "until_installed_s": round(sum(outside.values()), 1),
        "until_answered_s": round(sum(inside.values()), 1),
        "first_answer": [hit["id"] for hit in answer["results"][:1]],
    }


def _shell(scratch: Path, typed: Sequence[str], prefix: Sequence[str]) -> tuple[dict[str, float], str]:
    """Run commands in one shell; seconds of each, and what they printed."""
    clock = scratch / "clock"
    lines = ["set -e", _NAMESPACES if prefix else ""]
    for number, command in enumerate(typed):
        lines += [f'echo {number} $(date +%s.%N) >> "{clock}"', _as_typed(command)]
    lines += [f'echo {len(typed)} $(date +%s.%N) >> "{clock}"', _ENDING if prefix else ""]
    clock.unlink(missing_ok=True)
    environment = {**os.environ, "HOME": str(scratch), "SCRATCH": str(scratch)}
    environment.pop("LOCALSEARCH_MODELS", None)
    done = subprocess.run(
        [*prefix, "bash", "-c", "\n".join(lines)],
        cwd=machine.ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    moments = [float(line.split()[1]) for line in clock.read_text().splitlines()]
    took = {
        command: round(end - start, 2)
        for command, start, end in zip(typed, moments, moments[1:], strict=False)
    }
    return took, done.stdout.strip()


def _as_typed(command: str) -> str:
    command = command.replace("systemctl restart nginx", "nginx").replace("Bearer KEY", "Bearer $ME")
    if "keys create me" in command:
        return f"ME=$({command})"
    return f"{command.removesuffix('&')} > /dev/null 2>&1 &" if command.endswith("&") else command


if __name__ == "__main__":
    raise SystemExit(main())
