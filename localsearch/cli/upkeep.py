"""Models, versions, backup and repair."""

from __future__ import annotations

import argparse
from pathlib import Path

from localsearch.cli.console import Console
from localsearch.models import ModelStore
from localsearch.settings import Settings


def models(args: argparse.Namespace, console: Console, settings: Settings) -> int:
    """`localsearch models ...`"""
    store = ModelStore(settings)
    actions = {
        "list": _list_models,
        "pull": _pull_model,
        "import": _import_model,
        "verify": _verify_models,
        "remove": _remove_model,
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
        rows = [["name", "dimensions", "tokens", "licence", "here"]]
        for row in listed:
            values = [row["name"], row["dimensions"], row["max_tokens"], row["licence"]]
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
    card = store.import_folder(Path(args.folder), args.name)
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
