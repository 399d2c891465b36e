"""What can be typed."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, NoReturn

from localsearch.checked import printable
from localsearch.numbers import read_number
from localsearch.release import __version__

Sub = Any
FORMATS = ("text", "json", "jsonl", "csv", "md", "paths")
SHELLS = ("bash", "zsh", "fish")


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints quote what was typed without obeying it."""

    def error(self, message: str) -> NoReturn:
        super().error(printable(message))

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Refuse a command that is none, with the one that is spelled most like it."""
        if isinstance(action, argparse._SubParsersAction) and value not in action.choices:
            near = get_close_matches(str(value), action.choices, 1)
            way = f"Did you mean: {self.prog} {near[0]}" if near else f"See: {self.prog} --help"
            self.error(f"there is no command {value!r}. {way}")
        super()._check_value(action, value)


def build_parser(prog: str = "localsearch") -> argparse.ArgumentParser:
    """The whole command line, under either of its names."""
    parser = _Parser(
        prog=prog,
        description="Search your own files by words and by meaning, entirely on this machine.",
        epilog="Exit codes: 0 done, 1 failed, 2 bad usage, 3 the index is held by another process,"
        " 4 no hits and --fail-empty was given.",
    )
    parser.add_argument("--version", action="version", version=f"localsearch {__version__}")
    _globals(parser, None)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for add in (
        _index,
        _search,
        _get,
        _multi_get,
        _serve,
        _mcp,
        _watch,
        _folders,
        _status,
        _why,
        _doctor,
        _models,
        _versions,
        _eval,
        _keep,
        _plan,
        _bundle,
        _keys,
        _feedback,
        _shell,
    ):
        add(commands)
    return parser


def _globals(parser: argparse.ArgumentParser, default: Any) -> None:
    parser.add_argument(
        "--home", metavar="DIR", default=default, help="the index folder (or LOCALSEARCH_HOME)"
    )
    parser.add_argument(
        "--offline",
        action="store_true",
        default=default,
        help="never connect to anything (or LOCALSEARCH_OFFLINE=1)",
    )
    parser.add_argument(
        "--json", action="store_true", default=default, help="print one JSON object on stdout"
    )
    parser.add_argument("-v", "--verbose", action="count", default=default, help="say more")
    parser.add_argument(
        "-q", "--quiet", action="store_true", default=default, help="say nothing but results and errors"
    )


def command(commands: Sub, name: str, help: str) -> argparse.ArgumentParser:
    """A command that also takes the global options after its name."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=help, description=help[0].upper() + help[1:] + "."
    )
    _globals(parser, argparse.SUPPRESS)
    return parser


def _positive(name: str, low: int, high: int) -> Callable[[str], int]:
    def convert(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{name} is from {low} to {high}")
        return value

    convert.__name__ = name
    return convert


CHARACTERS = _positive("characters", 1, 10**9)


def _scaled(name: str, suffixes: str, low: float, high: float) -> Callable[[str], float]:
    """Numbers with a letter for a power of 1,000, the first of `suffixes` for 1,000: 250k, 1.5M."""

    def convert(text: str) -> float:
        power = suffixes.upper().find(text[-1:].upper()) + 1 if text[-1:] else 0
        number = read_number((text[:-1] if power else text).replace(",", ""))
        if number is None or not low <= (value := number * 1000.0**power) <= high:
            letters = ", ".join(suffixes)
            raise argparse.ArgumentTypeError(
                f"{name} is a number, also with {letters}, from {low:,.0f} to {high:,.0f}"
            )
        return value

    return convert


def _index(commands: Sub) -> None:
    parser = command(
        commands, "index", "read files and folders and make them searchable; run again to update"
    )
    parser.add_argument("paths", nargs="+", metavar="PATH")
    parser.add_argument("--collection", default="default", metavar="NAME")
    parser.add_argument(
        "--include", action="append", default=[], metavar="GLOB", help="only files that match"
    )
    parser.add_argument("--exclude", action="append", default=[], metavar="GLOB", help="no files that match")
    parser.add_argument("--dry-run", action="store_true", help="tell what would happen, change nothing")
    parser.add_argument(
        "--no-embed", action="store_true", help="words only for now; vectors can follow later"
    )
    parser.add_argument("--retry-failed", action="store_true", help="try again what could not be read before")


def _search(commands: Sub) -> None:
    parser = command(commands, "search", "search, best first")
    parser.add_argument(
        "query", nargs="*", metavar="QUERY", help="words or a question; - reads it from standard input"
    )
    parser.add_argument("--like", metavar="ID", help="documents like this one; an id or a file")
    parser.add_argument("-n", "--limit", type=_positive("limit", 1, 1000), default=5, metavar="N")
    parser.add_argument("--offset", type=_positive("offset", 0, 100_000), default=0, metavar="N")
    parser.add_argument("--mode", choices=["hybrid", "lexical", "semantic"], default="hybrid")
    parser.add_argument(
        "--rerank", action="store_true", help="score the best chunks again; slower, often better"
    )
    parser.add_argument("--collection", metavar="NAME")
    parser.add_argument(
        "--filter", dest="filters", metavar="EXPR", help="such as 'type:pdf after:2024 -draft'"
    )
    parser.add_argument("--explain", action="store_true", help="show how the ranking came about")
    parser.add_argument(
        "--budget", dest="budget_ms", type=float, metavar="MS", help="the best answer within this time"
    )
    parser.add_argument(
        "--min-relevance", type=float, default=0.0, metavar="R", help="leave out hits below this, from 0 to 1"
    )
    parser.add_argument(
        "--time-zone", default="", metavar="NAME", help="whose days dates are, such as Europe/Berlin"
    )
    parser.add_argument(
        "--sort",
        choices=["relevance", "date", "name", "size"],
        default="relevance",
        help="by date (the latest first), name or size instead",
    )
    parser.add_argument("--no-cache", dest="cache", action="store_false", help="compute everything anew")
    _format(parser)
    parser.add_argument(
        "--open", type=_positive("hit", 1, 1000), metavar="N", help="open the file of the Nth hit"
    )
    parser.add_argument("--fail-empty", action="store_true", help="exit with 4 when nothing is found")


def _format(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--format", choices=FORMATS, metavar="FORM", help="text, json (as --json), jsonl, csv, md or paths"
    )


def _get(commands: Sub) -> None:
    parser = command(commands, "get", "print a document, or lines, pages or a stretch of it")
    parser.add_argument("name", metavar="NAME", help="an id, a path, or a path below an indexed folder")
    parser.add_argument("--collection", metavar="NAME")
    parser.add_argument("--lines", metavar="A-B", help="such as 10-20, 7, or 10- to the end")
    parser.add_argument("--pages", metavar="A-B", help="such as 3 or 3-5")
    parser.add_argument("--at", type=_positive("offset", 0, 10**9), metavar="N", help="around this character")
    parser.add_argument(
        "--chars",
        type=CHARACTERS,
        default=4000,
        metavar="N",
        help="how many around it",
    )
    parser.add_argument("--max-chars", type=CHARACTERS, metavar="N", help="never more than this")
    _format(parser)


def _multi_get(commands: Sub) -> None:
    parser = command(commands, "multi-get", "print several documents within a budget of characters")
    parser.add_argument(
        "names", nargs="+", metavar="NAME", help="ids, paths, folders, or patterns as 'reports/*.md'"
    )
    parser.add_argument("--collection", metavar="NAME")
    parser.add_argument("--each", type=CHARACTERS, metavar="N", help="characters of each at most")
    parser.add_argument("--budget", type=CHARACTERS, metavar="N", help="characters of all at most")
    _format(parser)


def _serve(commands: Sub) -> None:
    parser = command(commands, "serve", "serve the search page and the HTTP API")
    parser.add_argument("paths", nargs="*", metavar="PATH", help="index these first, in the background")
    parser.add_argument("--host", metavar="H", help="default 127.0.0.1")
    parser.add_argument("--port", type=_positive("port", 0, 65535), metavar="P", help="default 8765")
    parser.add_argument("--watch", action="store_true", help="keep the index current as files change")
    parser.add_argument(
        "--workers",
        type=_positive("workers", 0, 64),
        metavar="N",
        help="processes that answer, one of which writes; 0: by the cores",
    )
    reading = parser.add_mutually_exclusive_group()
    reading.add_argument("--read-only", action="store_true", help="answer, and write nothing")
    reading.add_argument(
        "--follow",
        metavar="SOURCE",
        help="answer from copies of another index: a folder of `ship`, or the address of its server, whose admin key"
        " LOCALSEARCH_FOLLOW_KEY holds",
    )


def _mcp(commands: Sub) -> None:
    parser = command(commands, "mcp", "serve the Model Context Protocol on standard input and output")
    _within(parser, "clients see")


def _within(parser: argparse.ArgumentParser, who: str) -> None:
    parser.add_argument(
        "--collection",
        dest="collections",
        action="append",
        default=[],
        metavar="NAME",
        help=f"{who} this collection only; may be given several times",
    )
    parser.add_argument(
        "--path",
        dest="paths",
        action="append",
        default=[],
        metavar="PATH",
        help=f"{who} files at or below this path only; may be given several times",
    )


def _folders(commands: Sub) -> None:
    parser = command(commands, "folders", "the folders that were indexed: list, forget, scan, exclude")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    command(actions, "list", "every folder with its counts, its freshness and what is left out")
    forgetting = command(actions, "forget", "drop a folder and what was read from it; its files stay")
    scanning = command(actions, "scan", "look through folders again, with what each leaves out")
    excluding = command(actions, "exclude", "leave files that match out of a folder, from now on")
    scanning.add_argument("paths", nargs="*", metavar="PATH", help="default: all of them")
    scanning.add_argument("--retry-failed", action="store_true", help="also what could not be read before")
    forgetting.add_argument("path", metavar="PATH")
    excluding.add_argument("path", metavar="PATH")
    excluding.add_argument("patterns", nargs="*", metavar="GLOB")
    excluding.add_argument("--clear", action="store_true", help="leave out nothing but these")
    for one in (forgetting, scanning, excluding):
        one.add_argument("--collection", default="default", metavar="NAME")


def _status(commands: Sub) -> None:
    parser = command(commands, "status", "what is indexed and how fresh it is")
    parser.add_argument(
        "--list",
        choices=["failed", "skipped", "noted"],
        metavar="STATE",
        help="every file that failed, was skipped, or could not be read whole (noted), each with the reason",
    )


def _why(commands: Sub) -> None:
    parser = command(commands, "why", "whether a file is indexed, skipped or failed, and the reason")
    parser.add_argument("file", metavar="FILE")


def _models(commands: Sub) -> None:
    parser = command(commands, "models", "embedding and re-ranking models")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    command(actions, "list", "models that are known and whether they are here")
    command(actions, "pull", "download a model and verify it").add_argument("name", metavar="NAME")
    importing = command(actions, "import", "take a sentence-transformers folder carried in by hand")
    importing.add_argument("folder", metavar="DIR")
    importing.add_argument("--name", metavar="NAME")
    command(actions, "verify", "hash every file of a model").add_argument("name", nargs="?", metavar="NAME")
    command(actions, "remove", "delete a model").add_argument("name", metavar="NAME")
    command(actions, "recommend", "which model would serve the languages of your texts, and what it costs")


def _eval(commands: Sub) -> None:
    parser = command(commands, "eval", "measure ranking on a judged collection in BEIR layout")
    parser.add_argument("folder", nargs="?", metavar="DIR")
    parser.add_argument("--split", default="test", metavar="NAME")
    parser.add_argument("--modes", default="lexical,semantic,hybrid", metavar="LIST", help="also: rerank")
    parser.add_argument(
        "--run",
        metavar="FILE",
        help="also write the rankings as a TREC run file, one tag for each mode",
    )
    parser.add_argument(
        "--score-run", metavar="FILE", help="measure the rankings of a TREC run file instead, by its tags"
    )
    parser.add_argument(
        "--feedback", action="store_true", help="judge by your own feedback on your own index instead"
    )


def _watch(commands: Sub) -> None:
    parser = command(commands, "watch", "keep the index current as files change, until stopped")
    parser.add_argument("paths", nargs="*", metavar="PATH", help="default: everything indexed before")
    parser.add_argument("--collection", default="default", metavar="NAME")


def _doctor(commands: Sub) -> None:
    parser = command(commands, "doctor", "what is wrong around the index and how to mend it")
    parser.add_argument("--airgap", action="store_true", help="also whether anything could connect out")


def _versions(commands: Sub) -> None:
    parser = command(commands, "versions", "embedding versions, switched without downtime")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    command(actions, "list", "every version and how complete it is")
    building = command(actions, "build", "embed everything with another model beside the active version")
    building.add_argument("--model", required=True, metavar="NAME")
    building.add_argument("--precision", choices=["fp32", "int8"])
    comparing = command(actions, "compare", "hold two versions against each other on your own queries")
    comparing.add_argument("first", metavar="A")
    comparing.add_argument("second", metavar="B")
    comparing.add_argument("questions", nargs="*", metavar="QUESTION", help="beside those that were asked")
    command(actions, "activate", "answer from this version from now on").add_argument("version", metavar="ID")
    command(actions, "rollback", "return to the version before")
    command(actions, "gc", "delete versions that are not in use")


def _keep(commands: Sub) -> None:
    command(commands, "backup", "write one verified file of the index").add_argument("target", metavar="DEST")
    shipping = command(
        commands, "ship", "publish the present state in a folder, for `serve --follow` to take"
    )
    shipping.add_argument("target", metavar="DEST")
    shipping.add_argument(
        "--verify", action="store_true", help="read what is there, and copy anew what is damaged"
    )
    shipping.add_argument(
        "--every", type=float, metavar="SECONDS", help="again and again with this pause, until Ctrl-C"
    )
    command(commands, "promote", "make a folder that followed a primary the primary")
    restoring = command(commands, "restore", "bring a backup back into an empty folder")
    restoring.add_argument("source", metavar="SRC")
    restoring.add_argument(
        "--trust", action="store_true", help="read its folders and run its jobs without asking first"
    )
    command(commands, "trust", "read the folders and run the jobs that a restore brought")
    checking = command(commands, "check", "hold the index against its database")
    checking.add_argument("--repair", action="store_true", help="rebuild what is derived and wrong")
    command(commands, "export", "write every document as JSON lines").add_argument("target", metavar="FILE")
    command(commands, "import", "store the documents of an export").add_argument("source", metavar="FILE")
    purging = command(commands, "purge", "delete documents so that no byte of them stays")
    purging.add_argument("targets", nargs="+", metavar="PATH|ID")


def _plan(commands: Sub) -> None:
    parser = command(commands, "plan", "what a number of passages needs: memory, disk, machines and settings")
    passages = _scaled("passages", "kMB", 1, 1e12)
    parser.add_argument(
        "--passages",
        type=lambda text: round(passages(text)),
        required=True,
        metavar="N",
        help="texts of about 100 words, such as 250k, 10M or 1B",
    )
    parser.add_argument(
        "--queries",
        type=_scaled("queries", "kM", 0, 1e9),
        default=10.0,
        metavar="N",
        help="distinct questions a second; default 10",
    )
    parser.add_argument(
        "--dimensions", type=_positive("dimensions", 1, 65_536), default=384, metavar="N", help="default 384"
    )
    parser.add_argument(
        "--machine-memory",
        type=_scaled("memory", "kMGT", 1e9, 1e15),
        default=64e9,
        metavar="N",
        help="bytes of a machine, such as 64G (the default)",
    )
    parser.add_argument(
        "--cores", type=_positive("cores", 1, 1024), default=8, metavar="N", help="of a machine; default 8"
    )


def _bundle(commands: Sub) -> None:
    from localsearch.bundle.target import PLATFORMS, here

    parser = command(commands, "bundle", "one archive for machines without a network")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    building = command(
        actions, "build", "pack wheels, models and settings, with an installer that needs Python alone"
    )
    building.add_argument("target", metavar="OUT.tar")
    building.add_argument("--platform", choices=PLATFORMS, default=here().platform, help="default: as here")
    building.add_argument(
        "--python", metavar="X.Y", default=here().python, help="its Python; default: as here"
    )
    building.add_argument(
        "--model", action="append", default=[], metavar="NAME", help="default: those of the settings"
    )
    building.add_argument(
        "--extra", action="append", default=[], metavar="NAME", help="such as ocr or archives"
    )
    building.add_argument(
        "--settings", metavar="FILE", help="default: settings.toml of the index folder, if any"
    )
    building.add_argument(
        "--index", nargs="?", const="", metavar="BACKUP", help="also the index: this backup, or as it is now"
    )
    building.add_argument(
        "--wheel", metavar="FILE", help="of localsearch; default: made of the checkout that runs"
    )
    building.add_argument(
        "--find-links", action="append", default=[], metavar="DIR", help="take wheels of this folder, too"
    )
    verifying = command(actions, "verify", "hold every file of a bundle against its manifest")
    verifying.add_argument("source", metavar="OUT.tar")
    installing = command(actions, "install", "install a bundle, or upgrade what is there; the index stays")
    installing.add_argument("source", nargs="?", metavar="OUT.tar")
    installing.add_argument("--to", required=True, metavar="DIR", help="the folder of the installation")
    installing.add_argument(
        "--rollback", action="store_true", help="return to the release before the last upgrade instead"
    )
    for one in (verifying, installing):
        one.add_argument(
            "--sha256", default="", metavar="HEX", help="what `build` told, carried by another way"
        )


def _keys(commands: Sub) -> None:
    parser = command(commands, "keys", "API keys of the server")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    creating = command(actions, "create", "make a key; it is shown once")
    creating.add_argument("name", metavar="NAME")
    creating.add_argument("--scope", choices=["read", "write", "admin"], default="read")
    _within(creating, "it sees")
    command(actions, "list", "every key, without its secret")
    command(actions, "revoke", "make a key useless").add_argument("id", metavar="ID")


def _shell(commands: Sub) -> None:
    completing = command(commands, "completion", "print what makes a shell complete these commands")
    completing.add_argument("shell", choices=SHELLS, metavar="SHELL", help="bash, zsh or fish")
    command(commands, "man", "print the manual page, for `man -l -`")


def _feedback(commands: Sub) -> None:
    parser = command(commands, "feedback", "say whether a document answers a query")
    parser.add_argument("--query", required=True, metavar="Q")
    parser.add_argument("--id", required=True, metavar="ID")
    parser.add_argument("--collection", default="default", metavar="NAME")
    either = parser.add_mutually_exclusive_group(required=True)
    either.add_argument("--relevant", dest="relevant", action="store_true")
    either.add_argument("--not-relevant", dest="relevant", action="store_false")
