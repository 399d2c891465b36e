"""Metrics, cost and alerts: true numbers, in a form that a real Prometheus reads."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families
from serving import PLAIN, Served, notes

from localsearch.derived.embedder import rebuild
from localsearch.errors import SettingsError
from localsearch.server.alerts import Alerts, run_command
from localsearch.server.metrics import Window, percentile
from localsearch.server.readings import RecallSample, recall
from localsearch.settings import RULES, AlertRule, AlertSettings, LimitSettings, load
from localsearch.types import Ranking, Record, never, no_report

DEPLOY = Path(__file__).parents[2] / "deploy"


def program(name: str) -> str:
    found = shutil.which(name)
    if not found:
        pytest.skip(f"{name} is not installed (Debian's package prometheus)")
    return found


class Clock:
    """A clock that the test moves."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def samples(served: Served) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample of /metrics, by name and labels."""
    answer = served.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


# -- metrics


def test_counters_count(tmp_path: Path) -> None:
    with notes(tmp_path / "home") as served:
        for _ in range(3):
            served.search("kiln")
        served.search("tides")
        served.client.get("/nowhere")
        served.client.get("/documents/kiln", headers={"Host": "evil.example"})
        served.client.post("/feedback", json={"query": "kiln", "id": "kiln", "relevant": True})
        served.service.housekeeping.forget()
        found = samples(served)

    def value(name: str, **labels: str) -> float:
        return found[(f"localsearch_{name}", tuple(sorted(labels.items())))]

    assert value("http_requests_total", route="/search", method="POST", status="200") == 4
    assert value("http_requests_total", route="/{path}", method="GET", status="404") == 1
    assert value("http_requests_total", route="other", method="GET", status="403") == 1
    assert value("refused_total", code="bad_host") == 1
    assert value("search_seconds_count", cached="true") == 2
    assert value("search_seconds_count", cached="false") == 2
    assert value("search_stage_seconds_count", stage="lexical") == 2
    assert value("http_request_seconds_count", route="/search") == 4
    assert value("cache_hits_total", cache="answers") == 2
    assert value("cache_misses_total", cache="answers") == 2
    assert value("cache_entries", cache="answers") == 2
    assert value("cache_bytes", cache="answers") > 400
    assert value("documents") == 5
    assert value("chunks") == 5
    assert value("embedded_chunks") == 0
    assert value("semantic_coverage_ratio") == 0
    assert value("search_quality_score") == 1
    assert value("index_bytes") > 4096
    assert 0 < value("disk_free_ratio") <= 1
    assert 0 <= value("index_age_seconds") < 600
    assert value("alert_firing", alert="DiskNearlyFull", severity="critical") in (0, 1)
    assert ("localsearch_vector_recall_ratio", ()) not in found
    assert found[("process_resident_memory_bytes", ())] > 1e7


def test_labels_are_bounded_whatever_clients_send(tmp_path: Path) -> None:
    with notes(tmp_path / "home") as served:
        for number in range(30):
            served.client.request(("PUT", "PATCH", "PROPFIND", "MKCOL")[number % 4], f"/path/{number}")
            served.client.get(f"/documents/{number}")
        found = samples(served)
    series = [labels for (name, labels) in found if name == "localsearch_http_requests_total"]
    assert {dict(labels)["method"] for labels in series} == {"GET", "PUT", "PATCH", "other"}
    assert len(series) == 4


def test_embedding_is_counted_and_priced(sample: Served) -> None:
    sample.search("a query to embed")
    sample.service.housekeeping.forget()
    stats = sample.client.get("/stats").json()
    cost = stats["cost"]
    assert cost["tokens"] > 5000, "the passages, which were embedded before the server came, count too"
    assert cost["cpu_s"] > 0
    assert cost["hosted"] == {
        "hosted small": round(cost["tokens"] * 0.02 / 1e6, 6),
        "hosted large": round(cost["tokens"] * 0.13 / 1e6, 6),
    }
    assert (stats["embedded_chunks"], stats["semantic_coverage"]) == (stats["chunks"], 1.0)
    assert stats["caches"]["query_vectors"]["entries"] >= 1
    assert stats["roots"] == [str(Path(__file__).parents[2] / "data" / "sample")]


def test_a_window_forgets_after_five_minutes() -> None:
    clock = Clock()
    window = Window(clock)
    for milliseconds in (10, 20, 30, 40):
        window.search(milliseconds / 1000)
        window.answer(failed=milliseconds == 40)
    assert window.durations_ms() == [10, 20, 30, 40]
    assert window.error_rate() == 0.25
    clock.now += 301
    window.search(0.005)
    assert window.durations_ms() == [5]
    assert window.error_rate() == 0


def test_percentiles_agree_with_numpy() -> None:
    values = list(np.random.default_rng(3).exponential(10, 500))
    for share in (0.5, 0.99):
        assert percentile(values, share) == round(float(np.percentile(values, share * 100)), 3)
    assert percentile([], 0.99) == 0


def test_recall_counts_ties_as_found() -> None:
    def ranking(*pairs: tuple[int, float]) -> Ranking:
        ids, scores = zip(*pairs)
        return Ranking(np.array(ids, np.int64), np.array(scores, np.float32))

    exact = ranking((1, 0.9), (2, 0.8), (3, 0.7), (4, 0.7))
    assert recall(exact, exact) == 1.0
    assert recall(ranking((1, 0.9), (2, 0.8), (3, 0.7), (9, 0.7)), exact) == 1.0
    assert recall(ranking((1, 0.9), (3, 0.7), (8, 0.6), (7, 0.5)), exact) == 0.5


def test_recall_is_measured_on_queries_that_were_asked(sample: Served) -> None:
    engine, measured = sample.engine, RecallSample(lambda: sample.engine)
    measured.record("how to sharpen a plane iron")
    measured.measure()
    assert measured.value is None, "without a graph every search is exact"
    semantic = engine.derived.semantic
    assert semantic is not None
    semantic.vectors.publish(rebuild(engine.derived, semantic, no_report, never))
    for query in ("a pan that does not stick", "water for the roots", "when do bees swarm"):
        measured.record(query)
        measured.measure()
    assert measured.value is not None
    assert 0.9 <= measured.value <= 1.0


def test_ready_is_as_of_now(tmp_path: Path, model_folder: Path) -> None:
    with notes(tmp_path / "home") as served:

        def ready() -> tuple[int, float, str | None]:
            body = served.client.get("/ready").json()
            return body["documents"], body["semantic_coverage"], body["version"]

        assert ready() == (5, 0.0, None)
        served.engine.add([Record("A sixth note.", "sixth")])
        assert ready() == (6, 0.0, None)
        served.engine.models.folder.symlink_to(model_folder)
        served.engine.embed_pending()
        active = served.engine.embeddings.active()
        assert active is not None
        assert ready() == (6, 1.0, active.name)


def test_history_and_stats(served: Served) -> None:
    served.service.housekeeping._look()
    history = served.client.get("/stats/history").json()
    assert history["every_s"] == 15.0
    assert history["samples"][-1]["semantic_coverage"] == 0.0
    stats = served.client.get("/stats").json()
    assert (stats["documents"], stats["collections"], stats["files"]["failed"]) == (5, ["default"], 0)
    assert stats["home"] == str(served.engine.settings.home)
    ready = served.client.get("/ready").json()
    assert (ready["ready"], ready["documents"]) == (True, 5)


# -- alerts


RULE = AlertRule("Slow", "p99_ms", 100, for_s=60, severity="critical", help="Look.")


def test_a_rule_is_pending_then_fires_then_is_resolved(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    alerts = Alerts(AlertSettings((RULE,)), clock)
    alerts.evaluate({"p99_ms": 100.0})
    assert alerts.current() == []
    alerts.evaluate({"p99_ms": 101.0})
    (pending,) = alerts.current()
    assert (pending.state, pending.since, pending.value) == ("pending", 1000.0, 101.0)
    clock.now += 59
    alerts.evaluate({"p99_ms": 150.0})
    assert alerts.firing() == {("Slow", "critical"): 0}
    clock.now += 1
    with caplog.at_level("INFO", "localsearch.alerts"):
        alerts.evaluate({"p99_ms": 150.0})
        alerts.evaluate({"p99_ms": 160.0})
        assert [(one.state, one.value, one.help) for one in alerts.current()] == [("firing", 160.0, "Look.")]
        alerts.evaluate({"p99_ms": 99.0})
    assert [record.getMessage() for record in caplog.records] == ["alert Slow firing", "alert Slow resolved"]
    assert alerts.firing() == {("Slow", "critical"): 0}


def test_a_rule_about_what_is_not_known_does_not_hold() -> None:
    alerts = Alerts(AlertSettings((AlertRule("Recall", "recall", 0.9, above=False),)), Clock())
    alerts.evaluate({"recall": None})
    alerts.evaluate({})
    assert alerts.current() == []
    alerts.evaluate({"recall": 0.89})
    assert [one.state for one in alerts.current()] == ["firing"]


def test_a_flapping_value_starts_over() -> None:
    clock = Clock()
    alerts = Alerts(AlertSettings((RULE,)), clock)
    for value in (150.0, 50.0) * 10:
        alerts.evaluate({"p99_ms": value})
        clock.now += 40
    assert alerts.firing() == {("Slow", "critical"): 0}


def test_the_users_command_hears_of_changes_and_its_failure_harms_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    heard = tmp_path / "heard"
    script = f"import sys; open({str(heard)!r}, 'a').write(sys.stdin.read())"
    rule = replace(RULE, for_s=0)
    alerts = Alerts(AlertSettings((rule,), command=(sys.executable, "-c", script)), Clock())
    alerts.evaluate({"p99_ms": 500.0})
    alerts.evaluate({"p99_ms": 50.0})
    lines = [json.loads(line) for line in heard.read_text().splitlines()]
    assert [(line["name"], line["state"], line["value"]) for line in lines] == [
        ("Slow", "firing", 500.0),
        ("Slow", "resolved", 50.0),
    ]
    for command in (["/no/such/program"], [sys.executable, "-c", "raise SystemExit(3)"]):
        run_command(command, {"name": "x"}, 10)
    run_command([sys.executable, "-c", "import time; time.sleep(60)"], {"name": "x"}, 0.5)
    failures = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(failures) == 3
    assert "ended with 3" in failures[1]


def test_a_firing_alert_is_shown_by_the_server(tmp_path: Path) -> None:
    with notes(tmp_path / "home") as served:
        served.service.alerts._settings = AlertSettings((AlertRule("Tiny", "disk_free", 2.0, above=False),))
        served.service.housekeeping._look()
        (alert,) = served.client.get("/alerts").json()["alerts"]
        assert (alert["name"], alert["state"], alert["threshold"]) == ("Tiny", "firing", 2.0)
        served.service.housekeeping.forget()
        assert (
            samples(served)[("localsearch_alert_firing", (("alert", "Tiny"), ("severity", "warning")))] == 1
        )


def test_rules_come_from_the_settings_file(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text(
        '[alerts]\ncommand = ["notify-send", "localsearch"]\n'
        '[[alerts.rules]]\nname = "Mine"\nvalue = "recall"\nthreshold = 0.9\nabove = false\n'
        "[cost.prices]\nours = 0.5\n[server.limits]\nrate = 3\n"
    )
    settings = load(tmp_path, environ={})
    assert settings.alerts.rules == (AlertRule("Mine", "recall", 0.9, above=False),)
    assert settings.alerts.command == ("notify-send", "localsearch")
    assert settings.cost.prices == {"ours": 0.5}
    assert settings.server.limits == replace(LimitSettings(), rate=3.0)
    (tmp_path / "settings.toml").write_text(
        '[[alerts.rules]]\nname = "M"\nvalue = "recall"\nthreshhold = 1\n'
    )
    with pytest.raises(SettingsError, match=r"unknown setting alerts\.rules\.threshhold"):
        load(tmp_path, environ={})


# -- Prometheus


def names_used(text: str) -> set[str]:
    """Names of our metrics in expressions; recorded ones have colons and do not count."""
    return set(re.findall(r"\b(?:localsearch|process)_[a-z0-9_]+\b(?!:)", text))


def test_rules_and_dashboard_speak_of_metrics_that_exist(sample: Served) -> None:
    sample.search("anything")
    sample.client.post(
        "/feedback", json={"query": "q", "id": sample.search("water")["results"][0]["id"], "relevant": True}
    )
    sample.client.get("/search", headers={"Host": "evil.example"})
    sample.service.housekeeping.forget()
    there = {name for name, _ in samples(sample)}
    # Measured only where the vector index is large enough to have a graph.
    there.add("localsearch_vector_recall_ratio")
    there.add("localsearch_replica_lag_seconds")  # told by readers alone
    rules = (DEPLOY / "prometheus" / "rules.yml").read_text()
    dashboard = json.loads((DEPLOY / "grafana" / "localsearch.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert names_used(rules + " ".join(expressions)) - there == set()
    recorded = set(re.findall(r"record: (\S+)", rules))
    assert set(re.findall(r"localsearch:[a-z0-9_:]+", " ".join(expressions))) <= recorded
    assert len(dashboard["panels"]) == 16
    assert {rule.name for rule in RULES} <= set(re.findall(r"alert: (\S+)", rules))


def test_promtool_finds_no_fault() -> None:
    promtool = program("promtool")
    for arguments in (["check", "config", "prometheus.yml"], ["test", "rules", "rules.test.yml"]):
        done = subprocess.run(
            [promtool, *arguments],
            cwd=DEPLOY / "prometheus",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "SUCCESS" in done.stdout


def test_promtool_likes_the_metrics_themselves(served: Served) -> None:
    served.search("kiln")
    done = subprocess.run(
        [program("promtool"), "check", "metrics"],
        input=served.client.get("/metrics").text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    ours = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("localsearch_")]
    assert ours == []


@pytest.fixture
def prometheus(tmp_path: Path, served: Served) -> Iterator[str]:
    """A real Prometheus with our configuration, scraping the real server every second; its address."""
    binary = program("prometheus")
    config = (DEPLOY / "prometheus" / "prometheus.yml").read_text()
    config = config.replace("127.0.0.1:8765", f"127.0.0.1:{served.port}").replace("15s", "1s")
    (tmp_path / "prometheus.yml").write_text(config)
    shutil.copy(DEPLOY / "prometheus" / "rules.yml", tmp_path)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [binary, "--config.file=prometheus.yml", f"--web.listen-address=127.0.0.1:{port}"]
    command += [f"--storage.tsdb.path={tmp_path / 'data'}", "--log.level=error"]
    process = subprocess.Popen(command, cwd=tmp_path)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def query(address: str, expression: str) -> list[dict[str, Any]]:
    answer = httpx.get(f"{address}/api/v1/query", params={"query": expression}, timeout=10, verify=PLAIN)
    found: list[dict[str, Any]] = answer.json()["data"]["result"]
    return found


def wait_for(address: str, expression: str, seconds: float = 60.0) -> list[dict[str, Any]]:
    """The first result that is not empty."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if found := query(address, expression):
                return found
        except (httpx.HTTPError, KeyError, ValueError):
            pass
        time.sleep(0.25)
    raise AssertionError(f"Prometheus never had {expression}")


def test_a_real_prometheus_scrapes_the_real_server(served: Served, prometheus: str) -> None:
    for number in range(20):
        served.search(f"kiln {number}")
    assert wait_for(prometheus, 'up{job="localsearch"} == 1')
    (documents,) = wait_for(prometheus, "localsearch_documents")
    assert float(documents["value"][1]) == 5
    assert wait_for(
        prometheus, 'localsearch_http_requests_total{route="/search",method="POST",status="200"} >= 20'
    )
    assert wait_for(prometheus, 'localsearch_search_seconds_bucket{cached="false",le="10.0"} >= 20')
    assert wait_for(prometheus, 'localsearch_alert_firing{alert="StaleIndex"} == 0')
    targets = httpx.get(f"{prometheus}/api/v1/targets", timeout=10, verify=PLAIN).json()["data"][
        "activeTargets"
    ]
    assert [(target["health"], target["lastError"]) for target in targets] == [("up", "")]
    groups = httpx.get(f"{prometheus}/api/v1/rules", timeout=10, verify=PLAIN).json()["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) == 11
    for _ in range(100):
        if all(rule["health"] == "ok" for rule in rules):
            break
        time.sleep(0.2)
        groups = httpx.get(f"{prometheus}/api/v1/rules", timeout=10, verify=PLAIN).json()["data"]["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
    assert {rule["health"] for rule in rules} == {"ok"}
