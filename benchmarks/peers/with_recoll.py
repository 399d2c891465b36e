"""Recoll on files, through its own Python module: each passage or judged document is a text file named by its id."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

from adapter import Adapter, Clock, disk, rows, serve


class Recoll(Adapter):
    name = "Recoll"
    settings = "recollindex on plain files, English stems, any word matching, through its Python module"
    modes = ("lexical",)

    def version(self) -> str:
        said = subprocess.run(["recollindex", "-h"], capture_output=True, text=True)
        shown = re.search(r"[Rr]ecoll (\d[\w.]*)", said.stdout + said.stderr)
        asked = subprocess.run(
            ["dpkg-query", "-Wf", "${Version}", "recollcmd"], capture_output=True, text=True
        )
        return f"recoll {shown.group(1) if shown else asked.stdout}"

    def fill(self, file: str, count: int, home: str, given: Any) -> dict[str, Any]:
        folder = Path(home, "files")
        folder.mkdir()
        for id_, text in rows(file, count):
            Path(folder, f"{_safe(id_)}.txt").write_text(text, encoding="utf-8")
        return self.index([str(folder)], home)

    def index(self, folders: list[str], home: str) -> dict[str, Any]:
        """Index folders of real files; the seconds are those of recollindex, without writing any files."""
        settings = Path(home, "settings")
        settings.mkdir(parents=True, exist_ok=True)
        lines = [f"topdirs = {' '.join(folders)}", "indexstemminglanguages = english", "skippedNames ="]
        Path(settings, "recoll.conf").write_text("\n".join(lines) + "\n")
        with Clock() as clock:
            subprocess.run(["recollindex", "-c", str(settings), "-z"], check=True, capture_output=True)
        index = disk(f"{home}/settings")
        return {"words_s": clock.seconds, "seconds": clock.seconds, "cpu_s": clock.cpu_s, "disk": index}

    def attach(self, home: str) -> None:
        from recoll import recoll

        os.environ["RECOLL_CONFDIR"] = f"{home}/settings"
        self.database = recoll.connect(f"{home}/settings")

    def query(self, text: str, mode: str, limit: int, keep: int | None) -> list[str]:
        query = self.database.query()
        words = " OR ".join(re.findall(r"\w+", text))
        query.execute(words, stemming=1, stemlang="english")
        return [_original(document.filename) for document in query.fetchmany(limit)]


def _safe(id_: str) -> str:
    return id_.replace("%", "%25").replace("/", "%2F")


def _original(name: str) -> str:
    return name.removesuffix(".txt").replace("%2F", "/").replace("%25", "%")


if __name__ == "__main__":
    adapter = Recoll()
    adapter.cannot = dict.fromkeys(("semantic", "hybrid"), "ranks by words only") | {
        "filter": "filters by file properties, not by a field of our own"
    }
    serve(adapter)
