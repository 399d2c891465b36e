"""Alert rules, evaluated inside: shown at /alerts, written to the log, handed to a command of the user's.

Housekeeping's thread evaluates, and waits there for the command; any thread may read what holds.
"""

from __future__ import annotations

import logging
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from localsearch.server.schemas.system import AlertAnswer
from localsearch.settings import AlertRule, AlertSettings

log = logging.getLogger("localsearch.alerts")

Values = Mapping[str, float | None]
"""The values that rules speak of; None where nothing is known, and then no rule about it holds."""


@dataclass(slots=True)
class _Holding:
    """A rule that holds: since when, the latest value, and whether it has been announced."""

    rule: AlertRule
    since: float
    value: float
    firing: bool = False


class Alerts:
    """The state of every rule. `evaluate` is called now and then with the values of that moment."""

    def __init__(self, settings: AlertSettings, clock: Callable[[], float] = time.time) -> None:
        self._settings, self._clock = settings, clock
        self._holding: dict[str, _Holding] = {}
        self._lock = threading.Lock()

    def evaluate(self, values: Values) -> None:
        """See which rules hold now; announce each that begins or ceases to fire."""
        changes: list[Mapping[str, object]] = []
        with self._lock:
            for rule in self._settings.rules:
                changes += self._step(rule, values.get(rule.value))
        for change in changes:
            self._announce(change)

    def current(self) -> list[AlertAnswer]:
        """Firing and pending alerts, in the order of the rules."""
        with self._lock:
            return [_answer(holding) for holding in self._holding.values()]

    def firing(self) -> dict[tuple[str, str], int]:
        """1 or 0 for every rule, by name and severity."""
        with self._lock:
            held = {name for name, holding in self._holding.items() if holding.firing}
        return {(rule.name, rule.severity): int(rule.name in held) for rule in self._settings.rules}

    def _step(self, rule: AlertRule, value: float | None) -> Sequence[Mapping[str, object]]:
        now = self._clock()
        if value is None or not _holds(rule, value):
            gone = self._holding.pop(rule.name, None)
            return [_change(gone, "resolved", value)] if gone and gone.firing else []
        holding = self._holding.setdefault(rule.name, _Holding(rule, now, value))
        holding.value = value
        if holding.firing or now - holding.since < rule.for_s:
            return []
        holding.firing = True
        return [_change(holding, "firing", value)]

    def _announce(self, change: Mapping[str, object]) -> None:
        level = logging.WARNING if change["state"] == "firing" else logging.INFO
        log.log(level, "alert %s %s", change["name"], change["state"], extra={"fields": dict(change)})
        if self._settings.command:
            run_command(self._settings.command, change, self._settings.command_s)


def run_command(command: Sequence[str], change: Mapping[str, object], seconds: float) -> None:
    """Run the user's command with the change as one line of JSON on its input. Its failure is only logged."""
    try:
        done = subprocess.run(
            list(command),
            input=msgspec.json.encode(change) + b"\n",
            timeout=seconds,
            capture_output=True,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        log.error("the alert command failed: %s", error)
        return
    if done.returncode:
        log.error(
            "the alert command ended with %s: %s",
            done.returncode,
            done.stderr[-500:].decode("utf-8", "replace"),
        )


def _holds(rule: AlertRule, value: float) -> bool:
    return value > rule.threshold if rule.above else value < rule.threshold


def _answer(holding: _Holding) -> AlertAnswer:
    rule = holding.rule
    return AlertAnswer(
        name=rule.name,
        state="firing" if holding.firing else "pending",
        severity=rule.severity,
        value=holding.value,
        threshold=rule.threshold,
        since=holding.since,
        help=rule.help,
    )


def _change(holding: _Holding, state: str, value: float | None) -> Mapping[str, object]:
    rule = holding.rule
    return {
        "name": rule.name,
        "state": state,
        "severity": rule.severity,
        "value": value,
        "threshold": rule.threshold,
        "since": holding.since,
        "help": rule.help,
    }
