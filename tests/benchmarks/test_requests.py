"""benchmarks.requests: what one HTTP request costs."""

from __future__ import annotations

import sys

from benchmarks import requests
from benchmarks.machine import ROOT


def test_each_kind_is_answered_and_timed() -> None:
    report = requests.measure(ROOT, rounds=2, batch=3)
    assert list(report) == ["cached search", "health", "health, new connection"]
    for figures in report.values():
        assert set(figures["us"]) == {"now", "before"}
        assert min(figures["us"].values()) > 0
        assert figures["us_ratio"] > 0
        if sys.platform == "linux":
            assert min(figures["processor_us"].values()) > 0
            assert figures["processor_us_ratio"] > 0
