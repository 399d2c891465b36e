"""Results as pictures: SVG made by matplotlib, small enough to stand inside a page."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.tables import MODES, NAMES

matplotlib.use("svg")
matplotlib.rcParams.update(
    {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "localsearch"}
)
COLOURS = {"lexical": "#2b6cb0", "semantic": "#b7791f", "hybrid": "#2f855a", "rerank": "#805ad5"}
OURS, OTHER = "#2f855a", "#a0aec0"


@dataclass(frozen=True, slots=True)
class Plot:
    """A picture: its title and the SVG element."""

    title: str
    svg: str


def all_plots(results: Mapping[str, Any]) -> list[Plot]:
    """Every plot that the results allow."""
    makers = (_latency_by_size, _recall, _throughput, _memory, _quality, _peer_quality, _http)
    return [plot for maker in makers for plot in maker(results["suites"])]


def _drawn(title: str, draw: Callable[[Axes], None], height: float = 3.2) -> Plot:
    figure = Figure(figsize=(6.4, height), layout="constrained")
    draw(figure.subplots())
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None}, transparent=True)
    text = out.getvalue()
    return Plot(title, text[text.index("<svg") :])


def _latency_by_size(suites: Mapping[str, Any]) -> Iterable[Plot]:
    sizes = suites.get("scale", {}).get("sizes")
    if not sizes:
        return

    def draw(axes: Axes) -> None:
        for mode in MODES[:3]:
            points = [(int(count), row[mode]) for count, row in sizes.items() if mode in row]
            counts = [count for count, _ in points]
            axes.plot(
                counts, [row["p50"] for _, row in points], "o-", color=COLOURS[mode], label=f"{mode}, p50"
            )
            axes.plot(
                counts, [row["p99"] for _, row in points], ":", color=COLOURS[mode], label=f"{mode}, p99"
            )
        for key, name in NAMES.items():
            points = _peer_points(suites, key)
            if key != "localsearch" and points:
                axes.plot(*zip(*points), "x--", color=OTHER, linewidth=0.7)
                axes.annotate(name, points[-1], fontsize=6, xytext=(4, 0), textcoords="offset points")
        axes.set(xscale="log", yscale="log", xlabel="passages", ylabel="ms")
        axes.legend(fontsize=7, frameon=False, ncols=2)

    yield _drawn("Latency against corpus size (crosses: other systems, their best mode, p50)", draw, 4.0)


def _peer_points(suites: Mapping[str, Any], key: str) -> list[tuple[int, float]]:
    """(passages, p50) of a system's richest mode."""
    found = []
    for count, systems in suites.get("peers", {}).get("sizes", {}).items():
        row = systems.get(key, {})
        mode = next((mode for mode in ("hybrid", "semantic", "lexical") if mode in row), None)
        if mode:
            found.append((int(count), row[mode]["p50"]))
    return found


def _recall(suites: Mapping[str, Any]) -> Iterable[Plot]:
    points = suites.get("ann", {}).get("points")
    if not points:
        return

    def draw(axes: Axes) -> None:
        curve = [p for p in points if p.get("curve")]
        axes.plot([p["p50"] for p in curve], [p["recall"] for p in curve], "-", color=OURS, linewidth=0.8)
        for point in points:
            axes.plot(point["p50"], point["recall"], "o", color=OURS if point.get("curve") else OTHER)
            axes.annotate(str(point["name"]), (point["p50"], point["recall"]), fontsize=6, xytext=(4, -6),
                          textcoords="offset points")  # fmt: skip
        axes.set(xlabel="ms per query, p50", ylabel="recall@10 against exact")

    yield _drawn("Recall against latency of vector search", draw)


def _throughput(suites: Mapping[str, Any]) -> Iterable[Plot]:
    indexing = suites.get("indexing", {})
    encode, whole = indexing.get("encode", {}), indexing.get("end_to_end", {})
    bars = {name: encode[key]["texts_per_s"] for key, name in
            (("int8", "localsearch, int8"), ("fp32", "localsearch, fp32"), ("torch", "sentence-transformers"))
            if "texts_per_s" in encode.get(key, {})}  # fmt: skip
    if bars:
        yield _bars("Encoding, texts per second", bars)
    bars = {
        NAMES[key]: row["passages_per_s"]
        for key, row in whole.items()
        if isinstance(row, Mapping) and "passages_per_s" in row
    }
    if bars:
        yield _bars("Indexing end to end, passages per second", bars)


def _bars(title: str, values: Mapping[str, float]) -> Plot:
    def draw(axes: Axes) -> None:
        names = list(values)[::-1]
        colours = [OURS if name.startswith("localsearch") else OTHER for name in names]
        drawn = axes.barh(names, [values[name] for name in names], color=colours)
        axes.bar_label(drawn, fmt="%.4g", padding=3, fontsize=7)

    return _drawn(title, draw, 0.8 + 0.35 * len(values))


def _memory(suites: Mapping[str, Any]) -> Iterable[Plot]:
    sizes = suites.get("peers", {}).get("sizes", {})
    if sizes:
        count = list(sizes)[-1]
        bars = {NAMES[key]: row["memory_mb"] for key, row in sizes[count].items() if "memory_mb" in row}
        yield _bars(f"Resident memory serving {int(count):,} passages, MB", bars)
    memory = suites.get("memory")
    if memory:

        def draw(axes: Axes) -> None:
            counts = [int(count) for count in memory]
            for part, style in (("steady", "o-"), ("build_peak", "s:")):
                label = "serving" if part == "steady" else "peak while building"
                axes.plot(counts, [row[part] for row in memory.values()], style, color=OURS, label=label)
            axes.set(xscale="log", xlabel="passages", ylabel="MB", ylim=(0, None))
            axes.legend(fontsize=7, frameon=False)

        yield _drawn("Memory against corpus size", draw)


def _grouped(title: str, groups: Mapping[str, Mapping[str, float]], colours: Mapping[str, str]) -> Plot:
    """Bars of several series side by side: groups maps series -> group -> value."""

    def draw(axes: Axes) -> None:
        names = list(dict.fromkeys(name for series in groups.values() for name in series))
        width = 0.8 / len(groups)
        for index, (series, values) in enumerate(groups.items()):
            places = [names.index(name) + width * (index - (len(groups) - 1) / 2) for name in values]
            drawn = axes.bar(places, list(values.values()), width, label=series, color=colours.get(series))
            axes.bar_label(drawn, fmt="%.2f", fontsize=5, rotation=90, padding=2)
        axes.set_xticks(range(len(names)), names, fontsize=8)
        axes.set(ylim=(0, 1.1))
        axes.legend(fontsize=7, frameon=False, ncols=4, loc="upper center", bbox_to_anchor=(0.5, 1.12))

    return _drawn(title, draw, 3.4)


def _quality(suites: Mapping[str, Any]) -> Iterable[Plot]:
    sets = suites.get("quality", {}).get("sets", {})
    groups: dict[str, dict[str, float]] = {}
    for mode in MODES:
        for name, row in sets.items():
            if "ndcg@10" in row["modes"].get(mode, {}):
                groups.setdefault(mode, {})[name] = row["modes"][mode]["ndcg@10"]
    if groups:
        yield _grouped("nDCG@10 by collection and mode", groups, COLOURS)


def _peer_quality(suites: Mapping[str, Any]) -> Iterable[Plot]:
    judged = suites.get("peers", {}).get("judged", {})
    ours = suites.get("quality", {}).get("sets", {})
    groups: dict[str, dict[str, float]] = {}
    for name, systems in judged.items():
        for key, modes in {"localsearch": ours.get(name, {}).get("modes", {}), **systems}.items():
            best = next((modes[mode] for mode in ("hybrid", "semantic", "lexical") if mode in modes), None)
            if best:
                groups.setdefault(NAMES[key], {})[name] = best["ndcg@10"]
    if groups:
        yield _grouped(
            "nDCG@10 beside other systems, each in its richest mode", groups, {"localsearch": OURS}
        )


def _http(suites: Mapping[str, Any]) -> Iterable[Plot]:
    clients = suites.get("http", {}).get("clients")
    if not clients:
        return

    def draw(axes: Axes) -> None:
        for mix, label, colour in (
            ("distinct", "never asked before", OURS),
            ("cached", "often asked", OTHER),
        ):
            axes.plot(
                list(clients),
                [row[mix]["requests_per_s"] for row in clients.values()],
                "o-",
                color=colour,
                label=label,
            )
        axes.set(xlabel="clients", ylabel="requests per second", yscale="log")
        axes.legend(fontsize=7, frameon=False)

    yield _drawn("The server: throughput by clients", draw)
