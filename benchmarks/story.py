"""From a folder of German files to a better answer: python -m benchmarks.story [--data DIR]

Every command is typed as a user would, into a fresh index and a fresh folder of models, and timed: serve, ask, `models
recommend`, the command that it names, compare, switch, ask again; then an index of its own with `model.languages = auto`.
The files are the articles of GermanQuAD, the questions its own; an answer is right when it is the article that was judged.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import datasets, machine
from benchmarks.context import QUICK, Context, default_cache
from benchmarks.tables import Table, number
from localsearch.evaluation.beir import Dataset
from localsearch.evaluation.metrics import ndcg

RESULTS = machine.ROOT / "benchmarks" / "results" / "story"
MODES = ("lexical", "semantic", "hybrid")
PORT = 9460


def write_articles(dataset: Dataset, folder: Path) -> dict[str, str]:
    """One file for each article; the file of each paragraph's id."""
    articles: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for record in dataset.records():
        first = record.text.strip().partition("\n")[0]
        articles[re.sub(r"\W+", "-", first)[:60].strip("-")].append((str(record.id), record.text.strip()))
    files = {}
    for name, paragraphs in articles.items():
        path = folder / f"{name}.txt"
        path.write_text("\n\n".join(text for _, text in paragraphs) + "\n", "utf-8")
        files |= {id_: str(path) for id_, _ in paragraphs}
    return files


class User:
    """Types commands against one index and remembers what each took and said."""

    def __init__(self, home: Path, models: Path, shown: Mapping[str, str]) -> None:
        self.home, self.shown = home, shown
        self.steps: list[dict[str, Any]] = []
        self.environment = {**os.environ, "LOCALSEARCH_MODELS": str(models), "LOCALSEARCH_HOME": str(home)}

    def types(self, *words: str) -> str:
        """Run one command to its end; what it printed."""
        began = time.perf_counter()
        done = subprocess.run(
            self._command(words), env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"{words}: {done.stderr}")
        said = self._hidden(done.stdout + done.stderr)
        self.tell(words, time.perf_counter() - began, said)
        return said

    @contextmanager
    def serves(self, *words: str) -> Iterator[None]:
        """A server until the block ends; its step is told when all can be found by meaning."""
        words = ("serve", *words, "--port", str(PORT))
        began, times = time.perf_counter(), {}
        with tempfile.TemporaryFile() as log:
            process = subprocess.Popen(self._command(words), env=self.environment, stdout=log, stderr=log)
            try:
                while len(times) < 3:
                    if process.poll() is not None:
                        raise SystemExit(f"{words} ended with {process.returncode}")
                    found = _ready()
                    now = time.perf_counter() - began
                    if found:
                        times.setdefault("answers after", now)
                        if (
                            found["documents"]
                            and found["files"]["indexed"]
                            and not found["jobs"].get("running")
                        ):
                            times.setdefault("all by words after", now)
                            if found["semantic_coverage"] == 1 and found["version"]:
                                times.setdefault("all by meaning after", now)
                    time.sleep(0.1)
                said = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in times.items())
                self.tell(words, times["all by meaning after"], said)
                yield
            finally:
                process.send_signal(signal.SIGINT)
                process.wait(60)

    def tell(self, words: Sequence[str], seconds: float, said: str) -> None:
        command = self._hidden(" ".join(("localsearch", *words)))
        print(f"[{seconds:6.1f} s] {command}", file=sys.stderr, flush=True)
        self.steps.append({"command": command, "seconds": round(seconds, 2), "said": said})

    def _hidden(self, text: str) -> str:
        for path, name in self.shown.items():
            text = text.replace(path, name)
        return text

    def _command(self, words: Sequence[str]) -> list[str]:
        return [sys.executable, "-m", "localsearch", *words]


def ask(dataset: Dataset, files: Mapping[str, str], count: int) -> dict[str, Any]:
    """nDCG@10 and the share of questions whose first hit is right, of each mode, by the server; its median ms."""
    found: dict[str, Any] = {}
    queries = list(dataset.queries.items())
    chosen = queries[:: max(1, len(queries) // count)][:count]
    for mode in MODES:
        scores, firsts, took = [], [], []
        for id_, text in chosen:
            answer = _post({"query": text, "limit": 10, "mode": mode})
            ranked = [hit["path"] for hit in answer["results"]]
            grades = {files[key]: grade for key, grade in dataset.judgements[id_].items() if grade}
            scores.append(ndcg(ranked, grades))
            firsts.append(bool(ranked) and ranked[0] in grades)
            took.append(answer["took_ms"])
        found[mode] = {
            "ndcg@10": round(statistics.fmean(scores), 4),
            "first": round(statistics.fmean(firsts), 4),
            "p50_ms": round(statistics.median(took), 2),
        }
    return {"questions": len(chosen), "modes": found}


def _ready() -> dict[str, Any] | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/stats", timeout=5) as response:
            found: dict[str, Any] = json.load(response)
            return found
    except OSError:
        return None


def _post(body: Mapping[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{PORT}/search", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        found: dict[str, Any] = json.load(response)
        return found


def tell_story(dataset: Dataset, work: Path, questions: int) -> dict[str, Any]:
    """The whole of it; what each command took and said, and how good the answers were before and after."""
    texts, models = work / "texte", work / "models"
    texts.mkdir()
    files = write_articles(dataset, texts)
    shown = {
        str(texts): "~/Texte",
        str(work / "home"): "~/index",
        str(work / "auto"): "~/index",
        str(models): "~/models",
    }
    user = User(work / "home", models, shown)
    with user.serves(str(texts)):
        before = ask(dataset, files, questions)
    said = user.types("models", "recommend")
    named = re.search(r"localsearch (versions build --model \S+)", said)
    if named is None:
        raise SystemExit(f"no model was recommended: {said}")
    user.types(*named[1].split())
    user.types("versions", "compare", "1", "2")
    user.types("versions", "activate", "2")
    with user.serves():
        after = ask(dataset, files, questions)
    again = User(work / "auto", work / "models-auto", shown)
    again.home.mkdir()
    (again.home / "settings.toml").write_text('[model]\nlanguages = "auto"\n')
    again.types("index", str(texts))
    sizes = {"files": len(set(files.values())), "bytes": sum(path.stat().st_size for path in texts.iterdir())}
    return {**sizes, "steps": user.steps, "before": before, "after": after, "auto": again.steps}


def tables(results: Mapping[str, Any]) -> dict[str, str]:
    """The steps with their times, and the answers before and after."""
    steps = [["command", "seconds"]]
    steps += [[f"`{step['command']}`", number(step["seconds"])] for step in results["steps"]]
    steps += [
        [f"`{step['command']}`, with `model.languages = auto`", number(step["seconds"])]
        for step in results["auto"]
    ]
    about = results["machine"]
    note = (
        f"{results['files']} files, {results['bytes'] / 1e6:.1f} MB; downloads of both models included;"
        f" {about['processor']}, {about['cores']} cores, at a load of {about['load_average'][0]}. Of a server: until all"
        f" is found by meaning. Commit {results['commit']}."
    )
    rows = [["", *MODES, "first hit right, hybrid"]]
    for name, key in (("all-MiniLM-L6-v2, as installed", "before"), ("the recommended model", "after")):
        modes = results[key]["modes"]
        scores = [number(modes[mode]["ndcg@10"], 3) for mode in MODES]
        rows.append([name, *scores, f"{modes['hybrid']['first']:.0%}"])
    asked = f"nDCG@10 of {results['before']['questions']} questions, by the server."
    return {
        "story": Table("story", "", steps, note).markdown(),
        "story-answers": Table("story-answers", "", rows, asked).markdown(),
    }


def latest() -> Path | None:
    """The committed result that the tables in the documents are of."""
    return max(
        RESULTS.glob("*.json"), default=None, key=lambda path: json.loads(path.read_text())["finished"]
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.story", description=__doc__)
    parser.add_argument("--data", type=Path, default=machine.ROOT.parent / "shared" / "bench", metavar="DIR")
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="DIR")
    arguments = parser.parse_args()
    context = Context(default_cache(), arguments.data, arguments.data, QUICK)
    dataset = datasets.find(context, "germanquad")
    if dataset is None:
        raise SystemExit(
            f"germanquad is not in {arguments.data}; --data names the folder of judged collections"
        )
    about = machine.describe()
    with tempfile.TemporaryDirectory(prefix="story-") as work:
        found = tell_story(dataset, Path(work), arguments.questions)
    results = {
        "commit": machine.commit(),
        "machine": about,
        "finished": time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()),
        **found,
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / f"{machine.commit()}-{machine.name()}.json").write_text(
        json.dumps(results, indent=1, ensure_ascii=False) + "\n", "utf-8"
    )
    print("\n\n".join(tables(results).values()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
