"""Results as tables: rows of text, made once and shown in Markdown, in HTML and in the README."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks import check

MODES = ("lexical", "semantic", "hybrid", "rerank")
NAMES = {
    "localsearch": "localsearch",
    "stack": "sentence-transformers + FAISS flat + rank-bm25",
    "txtai": "txtai",
    "chroma": "Chroma",
    "lancedb": "LanceDB",
    "qdrant": "qdrant-client, local mode",
    "bm25s": "bm25s",
    "fts5": "SQLite FTS5",
    "recoll": "Recoll",
}


@dataclass(frozen=True, slots=True)
class Table:
    """A named table; `rows` begins with the heading. The key names it in the README's markers."""

    key: str
    title: str
    rows: list[list[str]]
    note: str = ""

    def markdown(self) -> str:
        heading, *body = [[cell.replace("|", "\\|") for cell in row] for row in self.rows]
        align = ["---", *["---:"] * (len(heading) - 1)]
        lines = ["| " + " | ".join(row) + " |" for row in (heading, align, *body)]
        return "\n".join([*lines, "", self.note] if self.note else lines)


def number(value: Any, digits: int = 1) -> str:
    """A figure as people read it; a dash for what there is not."""
    if value is None or isinstance(value, bool):
        return "–"
    if isinstance(value, str):
        return value
    return f"{value:,.{digits}f}"


def megabytes(value: Any) -> str:
    return "–" if value is None else f"{value / 2**20:,.0f}"


def all_tables(results: Mapping[str, Any]) -> list[Table]:
    """Every table that the results allow, in the order of the report."""
    makers = (
        _goals,
        _quality,
        _latency,
        _stages,
        _filters,
        _scale,
        _ann,
        _encoding,
        _end_to_end,
        _files,
        _http,
    )
    makers += (_memory, _peers, _peer_quality, _cannot)  # type: ignore[assignment]
    return [table for maker in makers for table in maker(results)]


def _suite(results: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return results["suites"].get(name) or {}


def _goals(results: Mapping[str, Any]) -> Iterable[Table]:
    rows = [
        ["figure", "expected", "measured", "met"],
        *(check.row(finding) for finding in check.check(results)),
    ]
    yield Table("goals", "What was expected and what was measured", rows)


def _quality(results: Mapping[str, Any]) -> Iterable[Table]:
    sets = _suite(results, "quality").get("sets", {})
    if not sets:
        return
    rows = [["collection", "documents", "queries", *MODES]]
    for name, report in sets.items():
        scores = [report["modes"].get(mode, {}).get("ndcg@10") for mode in MODES]
        counts = [number(report["documents"], 0), number(report["queries"], 0)]
        rows.append([name, *counts, *(number(score, 3) for score in scores)])
    yield Table("quality", "Quality: nDCG@10 by collection and mode", rows)
    rows = [
        ["collection", *(f"{mode} {metric}" for mode in MODES[:3] for metric in ("recall@100", "MRR@10"))]
    ]
    for name, report in sets.items():
        cells = [report["modes"][mode][metric] for mode in MODES[:3] for metric in ("recall@100", "mrr@10")]
        rows.append([name, *(number(cell, 3) for cell in cells)])
    yield Table("quality-more", "Quality: recall@100 and MRR@10", rows)


def _percentile_row(name: str, row: Mapping[str, Any]) -> list[str]:
    return [name, *(number(row.get(part), 2) for part in ("p50", "p95", "p99"))]


def _latency(results: Mapping[str, Any]) -> Iterable[Table]:
    suite = _suite(results, "latency")
    if not suite:
        return
    rows = [["query", "p50 ms", "p95 ms", "p99 ms"]]
    rows += [_percentile_row(f"{mode}, warm, uncached", suite[mode]) for mode in MODES[:3]]
    rows.append(_percentile_row("lexical, the first queries of a process", suite["young"]))
    rows.append(_percentile_row("hybrid, cached", suite["cached"]))
    rows.append(
        _percentile_row("hybrid with rerank, its passages looked at for the first time", suite["rerank"])
    )
    rows.append(_percentile_row("encoding the query alone", suite["query_encoding"]))
    for length, modes in suite["by_length"].items():
        rows += [_percentile_row(f"{mode}, {length}", row) for mode, row in modes.items()]
    title = f"Latency in process, {number(suite['passages'], 0)} passages, {suite['limit']} hits"
    yield Table("latency", title, rows)
    rows = [["start", "open ms", "first query ms", "second ms"]]
    rows += [
        [f"new process, {mode}", *(number(row[part]) for part in ("open_ms", "first_ms", "second_ms"))]
        for mode, row in suite["cold"].items()
    ]
    program = suite["program"]
    cells = [number(program[part] * 1e3, 0) for part in ("import_s", "search_s", "search_lexical_s")]
    note = (
        f"Whole programs, from start to end: `python -c 'import localsearch'` {cells[0]} ms (an empty Python"
        f" {number(program['python_s'] * 1e3, 0)} ms), `localsearch search` {cells[1]} ms,"
        f" by words only {cells[2]} ms."
    )
    yield Table("cold", "Cold starts", rows, note)


def _stages(results: Mapping[str, Any]) -> Iterable[Table]:
    suite = _suite(results, "latency")
    if not suite:
        return
    stages = suite["stages"]
    names = sorted({name for row in stages.values() for name in row} - {"took_ms"})
    rows = [["stage", *stages]]
    rows += [[name, *(number(row.get(name), 2) for row in stages.values())] for name in names]
    rows.append(["in all", *(number(row["took_ms"], 2) for row in stages.values())])
    yield Table(
        "stages", "Where a query's time goes: median ms by stage", rows, "Stages side by side overlap."
    )


def _filters(results: Mapping[str, Any]) -> Iterable[Table]:
    suite = _suite(results, "latency")
    if not suite:
        return
    rows = [["filter keeps", "semantic p50 ms", "p99", "hybrid p50 ms", "p99", "full answers"]]
    for share, row in suite["filtered"].items():
        cells = [row[mode][part] for mode in ("semantic", "hybrid") for part in ("p50", "p99")]
        rows.append([share, *(number(cell, 2) for cell in cells), f"{row['full']:.1%}"])
    yield Table("filters", "Filtered search", rows)


def _scale(results: Mapping[str, Any]) -> Iterable[Table]:
    suite = _suite(results, "scale")
    if not suite:
        return
    heading = [
        "passages",
        "words/s in",
        "lexical p50",
        "p99",
        "hybrid p50",
        "p99",
        "open s",
        "MB resident",
        "B/passage",
    ]
    rows = [heading]
    for count, row in suite["sizes"].items():
        timed = [row.get(mode, {}).get(part) for mode in ("lexical", "hybrid") for part in ("p50", "p99")]
        rest = [
            number(row["open_s"], 2),
            number(row["memory_mb"], 0),
            number(row["bytes_per_passage_beyond_text"], 0),
        ]
        cells = [number(row["passages_per_s"], 0), *(number(cell, 2) for cell in timed)]
        rows.append([number(int(count), 0), *cells, *rest])
    growth = suite["growth"]
    note = (
        f"ms; bytes on disk beyond the text. Growth of p50 from {number(int(growth['from']), 0)} to"
        f" {number(int(growth['to']), 0)} passages: lexical {growth['lexical']} times; to"
        f" {number(int(growth['to_embedded']), 0)}: hybrid {growth['hybrid']} times. Sizes without hybrid figures carry"
        " no vectors: embedding that much takes hours."
    )
    yield Table("scale", "Scale", rows, note)


def _ann(results: Mapping[str, Any]) -> Iterable[Table]:
    suite = _suite(results, "ann")
    points = suite.get("points")
    if not points:
        return
    rows = [["setting", "recall@10", "p50 ms", "p99 ms"]]
    rows += [
        [str(p["name"]), number(p["recall"], 4), number(p["p50"], 3), number(p.get("p99"), 3)] for p in points
    ]
    yield Table("ann", "Vector search against exact search", rows, suite.get("note", ""))


def _encoding(results: Mapping[str, Any]) -> Iterable[Table]:
    suite = _suite(results, "indexing").get("encode")
    if not suite:
        return
    rows = [["encoder", "texts/s", "tokens/s", "CPU s per million tokens", "times torch"]]
    named = {
        "int8": "localsearch, int8",
        "fp32": "localsearch, fp32",
        "torch": "sentence-transformers on torch",
    }
    ratios = {"int8": suite["ratio_int8_to_torch"], "fp32": suite["ratio_fp32_to_torch"], "torch": 1.0}
    for key, name in named.items():
        row = suite[key]
        if "cannot" in row:
            rows.append([name, row["cannot"], "", "", ""])
            continue
        cells = [row["texts_per_s"], row["tokens_per_s"], row["cpu_s_per_million_tokens"]]
        rows.append([name, *(number(cell, d) for cell, d in zip(cells, (1, 0, 1))), number(ratios[key], 2)])
    peak = suite["peak"]
    fastest = max(peak["gemm_gmac_per_s"].values())
    note = (
        f"{suite['count']} {suite['texts']}, {suite['tokens_per_text']} tokens each. The encoder does"
        f" {number(peak['encoder_gmac_per_s'], 0)} billion multiply-adds a second, {peak['share']:.0%} of the"
        f" {number(fastest, 0)} that plain int8 matrix products reach here in the same run."
    )
    yield Table("encoding", "Encoding", rows, note)


def _end_to_end(results: Mapping[str, Any]) -> Iterable[Table]:
    suite = _suite(results, "indexing").get("end_to_end")
    if not suite:
        return
    rows = [["system", "passages/s", "seconds", "until found by words, s", "peak MB", "ours is faster by"]]
    for key in ("localsearch", *suite["ratios"]):
        row = suite[key]
        if "cannot" in row:
            rows.append([NAMES[key], row["cannot"], "", "", "", ""])
            continue
        times = suite["ratios"].get(key)
        cells = [
            number(row["passages_per_s"]),
            number(row["seconds"]),
            number(row.get("words_s")),
            number(row["peak_mb"], 0),
        ]
        rows.append([NAMES[key], *cells, f"{times:.1f} times" if times else "–"])
    note = (
        f"{number(suite['passages'], 0)} passages, the same weights, each system embedding by its own means."
    )
    yield Table("end-to-end", "Indexing end to end, with embedding", rows, note)


def _files(results: Mapping[str, Any]) -> Iterable[Table]:
    suite = _suite(results, "indexing").get("files")
    if not suite:
        return
    ours, meaning, recoll = suite["localsearch"], suite["localsearch_meaning"], suite["recoll"]
    rows = [
        ["", "files", "passages", "by words s", "files/s", "by meaning s", "unchanged again s", "peak MB"]
    ]
    for name, row in (("localsearch, manuals", ours), ("localsearch, small folder", meaning)):
        counts = [
            number(row["files"], 0),
            number(row["chunks"], 0),
            number(row["words_s"]),
            number(row["files_per_s"], 0),
        ]
        rest = [
            number(row["meaning_s"]) if row["embedded"] else "–",
            number(row["again_s"], 2),
            number(row["peak_mb"], 0),
        ]
        rows.append([name, *counts, *rest])
    if "cannot" in recoll:
        rows.append(["Recoll, manuals", recoll["cannot"], *[""] * 6])
    else:
        rate = ours["files"] / recoll["words_s"]
        rows.append(
            [
                "Recoll, manuals",
                number(ours["files"], 0),
                "–",
                number(recoll["words_s"]),
                number(rate, 0),
                "–",
                "–",
                "–",
            ]
        )
    yield Table("files", "Indexing folders of real files", rows, f"Manuals: {', '.join(suite['manuals'])}.")


def _http(results: Mapping[str, Any]) -> Iterable[Table]:
    suite = _suite(results, "http")
    if not suite:
        return
    rows = [["clients", "questions", "requests/s", "p50 ms", "p95 ms", "p99 ms"]]
    for clients, row in suite["clients"].items():
        for mix in ("distinct", "cached"):
            timed = [number(row[mix][part]) for part in ("requests_per_s", "p50_ms", "p95_ms", "p99_ms")]
            rows.append([clients, "never asked before" if mix == "distinct" else "often asked", *timed])
    busy = suite["while_indexing"]
    timed = [
        number(busy.get(part, busy.get("cannot")))
        for part in ("requests_per_s", "p50_ms", "p95_ms", "p99_ms")
    ]
    rows.append(["8", "never asked before, while files are indexed", *timed])
    compared = suite.get("workers")
    for name, processes in (("one", "1"), ("several", str(compared["workers"]))) if compared else ():
        for mix, words in (("distinct", "never asked before"), ("cached", "often asked")):
            row = compared[name][mix]
            timed = [number(row["requests_per_s"]), number(row["p50_ms"]), "–", number(row["p99_ms"])]
            rows.append([str(compared["clients"]), f"{words}; processes: {processes}", *timed])
    counted = number(suite["passages"], 0)
    note = f"{counted} passages; clients share the machine. Start to first answer {suite['start_to_answer_s']} s."
    yield Table("http", "The server under load", rows, note)


def _memory(results: Mapping[str, Any]) -> Iterable[Table]:
    suite = _suite(results, "memory")
    if not suite:
        return
    parts = ("opened", "steady", "steady_own", "peak", "build_peak")
    rows = [["passages", "opened", "serving", "of which own", "peak", "peak while building"]]
    rows += [
        [number(int(count), 0), *(number(row[part], 0) for part in parts)] for count, row in suite.items()
    ]
    yield Table("memory", "Memory, MB", rows, "Own: not shared with other processes, such as mapped files.")


def _peers(results: Mapping[str, Any]) -> Iterable[Table]:
    for count, systems in _suite(results, "peers").get("sizes", {}).items():
        rows = [
            [
                "system",
                "lexical p50 ms",
                "semantic p50",
                "hybrid p50",
                "hybrid p99",
                "1% filter p50",
                "MB",
                "disk MB",
            ]
        ]
        for key in NAMES:
            row = systems.get(key, {})
            if key == "localsearch":
                row = row | {"filtered": _own_filters(results, int(count))}
            if "cannot" in row:
                rows.append([NAMES[key], row["cannot"], *[""] * 6])
                continue
            timed = [row.get(mode, {}).get("p50") for mode in MODES[:3]] + [row.get("hybrid", {}).get("p99")]
            filtered = row.get("filtered", {}).get("1%", {})
            shown = f"{number(filtered.get('p50'), 2)}" + (
                "" if filtered.get("full", 1) == 1 else " (short answers)"
            )
            sizes = [number(row.get("memory_mb"), 0), megabytes(row.get("disk"))]
            rows.append([NAMES[key], *(number(cell, 2) for cell in timed), shown, *sizes])
        note = (
            "The same passages and the same vectors; queries by turns; each encodes queries by its own means."
        )
        yield Table(f"peers-{count}", f"Side by side, {number(int(count), 0)} passages", rows, note)


def _own_filters(results: Mapping[str, Any], count: int) -> Mapping[str, Any]:
    """Our filtered searches by meaning, of the suite that measures them, if it was at this size."""
    suite = _suite(results, "latency")
    shares = suite.get("filtered", {}) if suite.get("passages") == count else {}
    return {share: {**row["semantic"], "full": row["full"]} for share, row in shares.items()}


def _peer_quality(results: Mapping[str, Any]) -> Iterable[Table]:
    ours = _suite(results, "quality").get("sets", {})
    for name, systems in _suite(results, "peers").get("judged", {}).items():
        rows = [["system", *MODES[:3], "best recall@100"]]
        mine = ours.get(name, {}).get("modes", {})
        for key, modes in {"localsearch": mine, **systems}.items():
            if not modes or "cannot" in modes:
                continue
            scores = [number(modes.get(mode, {}).get("ndcg@10"), 3) for mode in MODES[:3]]
            best = max(modes[mode]["recall@100"] for mode in MODES[:3] if mode in modes)
            rows.append([NAMES[key], *scores, number(best, 3)])
        yield Table(f"peer-quality-{name}", f"nDCG@10 side by side, {name}", rows)


def _cannot(results: Mapping[str, Any]) -> Iterable[Table]:
    suite = _suite(results, "peers")
    rows = [["system", "version", "settings", "what it cannot do"]]
    for key, said in suite.get("systems", {}).items():
        reasons = "; ".join(f"{what}: {why}" for what, why in said["cannot"].items()) or "–"
        rows.append([NAMES[key], said["version"], said["settings"], reasons])
    rows += [[NAMES[key], "not installed", "", how] for key, how in suite.get("missing", {}).items()]
    if len(rows) > 1:
        yield Table("systems", "The systems", rows)
