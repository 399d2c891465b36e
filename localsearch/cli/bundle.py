"""Bundles for machines without a network."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from localsearch.bundle import archive
from localsearch.bundle.build import Contents, build
from localsearch.bundle.target import Target
from localsearch.cli.console import Console
from localsearch.engine import Engine
from localsearch.errors import UsageError
from localsearch.settings import Settings


def bundle(args: argparse.Namespace, console: Console, settings: Settings) -> int:
    """`localsearch bundle build|verify|install`"""
    actions = {"build": _build, "verify": _verify, "install": _install}
    result = actions[args.action](args, console, settings)
    if console.json:
        console.result(result)
    return 0


def _build(args: argparse.Namespace, console: Console, settings: Settings) -> object:
    own = settings.home / "settings.toml"
    chosen = tuple(dict.fromkeys(args.model)) or tuple(
        filter(None, (settings.model.name, settings.model.reranker))
    )
    with tempfile.TemporaryDirectory(prefix="localsearch-bundle-") as scratch, console.progress() as report:
        contents = Contents(
            target=Target(args.platform, args.python),
            models=chosen,
            extras=tuple(args.extra),
            settings=Path(args.settings) if args.settings else own if own.is_file() else None,
            own_settings=not args.settings,
            index=_index(args, settings, Path(scratch)),
            wheel=Path(args.wheel) if args.wheel else None,
            links=tuple(Path(folder).absolute() for folder in args.find_links),
        )
        built = build(Path(args.target), contents, settings, report)
    console.say(
        f"{built.file}: {built.packages} packages, {len(built.models)} models, {built.bytes / 1e6:,.1f} MB,"
        f" for {built.platform} with Python {built.python}"
    )
    console.say(f"SHA-256 {built.sha256}")
    console.say("There: tar -xf it, then python3 install.py --to DIR. Nothing else is needed.")
    return built


def _index(args: argparse.Namespace, settings: Settings, scratch: Path) -> Path | None:
    """The backup named, or one made now of the index."""
    if args.index is None:
        return None
    if args.index:
        return Path(args.index)
    with Engine.open(settings=settings, read_only=True) as engine:
        engine.backup(scratch / "index.backup")
    return scratch / "index.backup"


def _verify(args: argparse.Namespace, console: Console, settings: Settings) -> object:
    manifest = archive.verify(Path(args.source), args.sha256)
    console.say(f"{manifest.id}: {len(manifest.files)} files, each as it was built.")
    return {"id": manifest.id, "files": len(manifest.files), "ok": True}


def _install(args: argparse.Namespace, console: Console, settings: Settings) -> object:
    folder = Path(os.path.expanduser(args.to)).absolute()
    if args.rollback:
        return archive.roll_back(folder, console.say)
    if not args.source:
        raise UsageError("No bundle is named.", hint="Name an archive, or go back with --rollback.")
    home = Path(args.home) if args.home else None
    return archive.install_archive(Path(args.source), folder, home, args.sha256, console.say)
