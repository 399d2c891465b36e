"""Models and embedding versions."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

import msgspec

from localsearch.checked import printable
from localsearch.cli.console import Console
from localsearch.cli.interrupt import INTERRUPTED, Interrupt
from localsearch.cli.remote import Remote
from localsearch.engine import Engine, named_path
from localsearch.errors import LockedError
from localsearch.models import ModelStore
from localsearch.settings import Settings
from localsearch.types import no_report
from localsearch.upkeep.recommend import Candidate
from localsearch.upkeep.versions import Comparison

_DIFFERENCES = 10
"""Questions that `versions compare` shows with the first hit of each."""


def models(args: argparse.Namespace, console: Console, settings: Settings) -> int:
    """`localsearch models ...`"""
    store = ModelStore(settings)
    actions = {
        "list": _list_models,
        "pull": _pull_model,
        "import": _import_model,
        "verify": _verify_models,
        "remove": _remove_model,
        "recommend": _recommend_model,
    }
    result = actions[args.action](args, console, store)
    if console.json:
        console.result(result)
    return 0


def _list_models(args: argparse.Namespace, console: Console, store: ModelStore) -> object:
    listed = [
        {
            "name": card.name,
            "kind": card.kind,
            "dimensions": card.dimensions,
            "max_tokens": card.max_tokens,
            "licence": card.licence,
            "installed": store.installed(card.name),
        }
        for card in store.cards()
    ]
    if not console.json:
        rows = [["name", "kind", "dimensions", "tokens", "licence", "here"]]
        for row in listed:
            values = [row["name"], row["kind"], row["dimensions"], row["max_tokens"], row["licence"]]
            rows.append([*map(str, values), "yes" if row["installed"] else "no"])
        console.table(rows)
        console.say(f"Models are kept in {store.folder}.")
    return {"models": listed, "folder": str(store.folder)}


def _pull_model(args: argparse.Namespace, console: Console, store: ModelStore) -> object:
    with console.progress() as report:
        card = store.pull(args.name, report=report)
    console.say(f"{card.name} is in {store.folder}, verified.")
    return {"name": card.name, "installed": True}


def _import_model(args: argparse.Namespace, console: Console, store: ModelStore) -> object:
    card = store.import_folder(named_path(args.folder), args.name)
    console.say(f"{card.name} is in {store.folder}, verified.")
    return {"name": card.name, "installed": True}


def _verify_models(args: argparse.Namespace, console: Console, store: ModelStore) -> object:
    names = [args.name] if args.name else [card.name for card in store.cards() if store.installed(card.name)]
    for name in names:
        store.verify(name)
        console.say(f"{name}: every file is as it was installed.")
    return {"verified": names}


def _remove_model(args: argparse.Namespace, console: Console, store: ModelStore) -> object:
    store.remove(args.name)
    console.say(f"{args.name} is gone.")
    return {"name": args.name, "installed": False}


def _recommend_model(args: argparse.Namespace, console: Console, store: ModelStore) -> object:
    with Engine.open(settings=store.settings, read_only=True) as engine:
        found = engine.recommend_model()
    if not console.json:
        shares = ", ".join(f"{language} {share:.0%}" for language, share in found.languages.items())
        console.say(f"{found.chunks:,} chunks; languages: {shares or 'not recognised'}")
        candidates = [found.current, *([found.better] if found.better else [])]
        rows = [["model", "knows", "download", "disk", "memory", "vectors", "embeds all in"]]
        console.table(rows + [_candidate_row(candidate) for candidate in candidates])
        console.say(found.why)
        if found.command:
            console.say(f"Build it beside the one in use: {found.command}")
            console.say("It says then how to compare the two and how to switch.")
    return found


def _candidate_row(candidate: Candidate) -> list[str]:
    sizes = (candidate.disk, candidate.memory, candidate.vectors)
    download = "is here" if candidate.installed else _megabytes(candidate.download)
    time = (
        "?"
        if candidate.seconds is None
        else f"{candidate.seconds:,.0f} s{'' if candidate.measured else ', estimated'}"
    )
    return [candidate.name, f"{candidate.covers:.0%}", download, *map(_megabytes, sizes), time]


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB" if size else "?"


def versions(args: argparse.Namespace, console: Console, settings: Settings) -> int:
    """`localsearch versions ...`; a server that holds the index is asked to do it."""
    try:
        return _versions_here(args, console, settings)
    except LockedError as error:
        return _versions_there(Remote(error), args, console)


def _versions_there(remote: Remote, args: argparse.Namespace, console: Console) -> int:
    console.say(f"The server at {remote.url} holds the index and does it.")
    actions = {
        "build": _build_there,
        "compare": _compare_there,
        "activate": _activate_there,
        "rollback": _activate_there,
        "gc": _collect_there,
    }
    with Interrupt() as interrupted:
        result = actions[args.action](args, console, remote, interrupted)
    if console.json:
        console.result(result)
    stopped = isinstance(result, Mapping) and result.get("cancelled")
    return INTERRUPTED if interrupted() or stopped else 0


def _build_there(
    args: argparse.Namespace, console: Console, remote: Remote, interrupted: Interrupt
) -> object:
    with console.progress() as report:
        built = remote.work(
            "/versions", {"model": args.model, "precision": args.precision}, report, interrupted
        )
    if built["state"] == "ready":
        _tell_ready(console, built["name"], built["id"], remote.active())
    return built


def _compare_there(
    args: argparse.Namespace, console: Console, remote: Remote, interrupted: Interrupt
) -> object:
    body = {"first": args.first, "second": args.second, "questions": args.questions}
    outcome = msgspec.convert(remote.work("/versions/compare", body, no_report, interrupted), Comparison)
    _tell_comparison(console, outcome)
    return outcome


def _activate_there(args: argparse.Namespace, console: Console, remote: Remote, _: Interrupt) -> object:
    name = remote.rollback() if args.action == "rollback" else remote.activate(args.version)
    console.say(f"{name} is active.")
    return {"name": name, "state": "active"}


def _collect_there(
    args: argparse.Namespace, console: Console, remote: Remote, interrupted: Interrupt
) -> object:
    freed = remote.work("/versions/gc", None, no_report, interrupted)
    console.say(f"{freed['freed'] / 1e6:,.1f} MB freed.")
    return freed


def _versions_here(args: argparse.Namespace, console: Console, settings: Settings) -> int:
    with (
        Interrupt() as interrupted,
        Engine.open(settings=settings, read_only=args.action == "list") as engine,
    ):
        actions = {
            "list": _list_versions,
            "build": _build_version,
            "compare": _compare_versions,
            "activate": _activate_version,
            "rollback": _activate_version,
            "gc": _collect_versions,
        }
        result = actions[args.action](args, console, engine, interrupted)
    if console.json:
        console.result(result)
    return INTERRUPTED if interrupted() else 0


def _list_versions(args: argparse.Namespace, console: Console, engine: Engine, _: Interrupt) -> object:
    states = engine.versions.states()
    if not console.json:
        rows = [["version", "state", "dimensions", "to embed", "vector index"]]
        for state in states:
            size = f"{state.bytes / 1e6:.1f} MB"
            rows.append([state.name, state.state, str(state.dimensions), f"{state.pending:,}", size])
        console.table(rows)
    return {"versions": states}


def _build_version(
    args: argparse.Namespace, console: Console, engine: Engine, interrupted: Interrupt
) -> object:
    if not engine.models.installed(args.model):
        console.say(f"Fetching the model {args.model}, once.")
        with console.progress() as report:
            engine.models.pull(args.model, report=report)
    encoder = engine.models.encoder(args.model, args.precision)
    with console.progress() as report:
        version = engine.versions.build(encoder, report, interrupted)
    if interrupted():
        console.say("Stopped. The same command goes on from here.")
    elif version.state == "ready":
        active = engine.embeddings.active()
        _tell_ready(console, version.name, version.id, active.id if active else None)
    return version


def _tell_ready(console: Console, name: str, version: int, active: int | None) -> None:
    console.say(f"{name} is ready.")
    if active:
        console.say(f"Compare it with the one in use: localsearch versions compare {active} {version}")
    console.say(f"Switch to it: localsearch versions activate {version}")


def _compare_versions(args: argparse.Namespace, console: Console, engine: Engine, _: Interrupt) -> object:
    outcome = engine.compare_versions(args.first, args.second, args.questions)
    _tell_comparison(console, outcome)
    return outcome


def _tell_comparison(console: Console, outcome: Comparison) -> None:
    if not console.json:
        sides = (outcome.a, outcome.b)
        rows = [["", *(side.version for side in sides)]]
        rows += [["known items, MRR@10", *(_figure(side.known_item_mrr) for side in sides)]]
        rows += [["judged, nDCG@10", *(_figure(side.judged_ndcg) for side in sides)]]
        rows += [["p50 ms", *(_figure(side.latency_ms["p50"]) for side in sides)]]
        rows += [["vector index, bytes", *(f"{side.bytes:,}" for side in sides)]]
        console.table(rows)
        console.say(
            f"{outcome.queries} queries ({outcome.logged} asked, {outcome.judged} judged, {outcome.known_items} made"
            f" from texts), by meaning alone: the first ten agree to {outcome.overlap_at_10:.0%}, the first to"
            f" {outcome.same_first:.0%}"
        )
        for found in outcome.differences[:_DIFFERENCES]:
            console.say(
                printable(f"  {found.query}\n    A: {found.a or 'nothing'}\n    B: {found.b or 'nothing'}")
            )


def _figure(value: float | None) -> str:
    return "–" if value is None else str(value)


def _activate_version(args: argparse.Namespace, console: Console, engine: Engine, _: Interrupt) -> object:
    rollback = args.action == "rollback"
    version = engine.versions.rollback() if rollback else engine.versions.activate(args.version)
    console.say(f"{version.name} is active.")
    return version


def _collect_versions(args: argparse.Namespace, console: Console, engine: Engine, _: Interrupt) -> object:
    freed = engine.versions.gc()
    console.say(f"{freed / 1e6:,.1f} MB freed.")
    return {"freed": freed}
