"""`lb init --grafana`: it asks for metrics that there are, and Prometheus reads it."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lb.admin.metrics import FAMILIES
from lb.templates.dashboard import dashboard
from tests.cli.conftest import lb

PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
METRICS = {
    family.name + suffix
    for family in FAMILIES
    for suffix in (("_bucket", "_sum", "_count") if family.kind == "histogram" else ("",))
}
LABELS = {"http_response_status_code", "http_connection_state"}
GRAFANA = {"$__rate_interval": "1m", "$instance": ".*", "$backend": ".*"}


def promtool(*words: object) -> None:
    assert PROMTOOL is not None
    done = subprocess.run([PROMTOOL, *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def expressions() -> list[str]:
    panels: list[dict[str, Any]] = json.loads(dashboard())["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", ())]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    at = tmp_path_factory.mktemp("grafana")
    assert lb("init", "--grafana", "--out", at).returncode == 0
    return at


def test_three_files_are_written(written: Path) -> None:
    names = sorted(path.name for path in written.iterdir())
    assert names == ["grafana.json", "lb.alerts.yml", "prometheus.yml"]


@needs_promtool
def test_prometheus_reads_the_alerts_and_finds_them_by_its_file(written: Path) -> None:
    promtool("check", "rules", written / "lb.alerts.yml")
    promtool("check", "config", written / "prometheus.yml")


@needs_promtool
def test_prometheus_reads_every_expression_of_the_dashboard(tmp_path: Path) -> None:
    rules = []
    for number, expression in enumerate(expressions()):
        for variable, value in GRAFANA.items():
            expression = expression.replace(variable, value)
        rules.append({"record": f"panel:{number}", "expr": expression})
    file = tmp_path / "panels.yml"  # JSON is YAML
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    promtool("check", "rules", file)


def test_only_metrics_that_there_are_are_asked_for(written: Path) -> None:
    text = "\n".join([*expressions(), (written / "lb.alerts.yml").read_text()])
    asked = set(re.findall(r"\b(?:lb|http)_[a-z_]+", text))
    assert asked
    assert asked - LABELS <= METRICS


def test_panels_do_not_lie_upon_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(dashboard())["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not taken & cells
        taken |= cells


def test_the_source_of_data_is_chosen_on_import() -> None:
    told = json.loads(dashboard())
    assert told["templating"]["list"][0]["type"] == "datasource"
    sources = {str(it["datasource"]["uid"]) for it in told["panels"] if "datasource" in it}
    assert sources == {"${datasource}"}


@needs_promtool
def test_a_backend_that_an_operator_has_taken_out_wakes_nobody(
    written: Path, tmp_path: Path
) -> None:
    def series(name: str, labels: str, values: str) -> dict[str, str]:
        return {
            "series": f'{name}{{instance="i", backend="{labels[0]}"{labels[1:]}}}',
            "values": values,
        }

    down = {"severity": "warning", "instance": "i", "backend": "b"}
    notes = {
        "summary": "backend b is not up",
        "description": "lb at i has not used it for two minutes.",
    }
    test = {
        "interval": "30s",
        "input_series": [
            series("lb_backend_up", "a", "0x20"),
            series("lb_backend_state", 'a, state="maint"', "1x20"),
            series("lb_backend_up", "b", "0x20"),
            series("lb_backend_state", 'b, state="down"', "1x20"),
            series("lb_backend_up", "c", "1x20"),
        ],
        "alert_rule_test": [
            {
                "eval_time": "5m",
                "alertname": "LbBackendDown",
                "exp_alerts": [{"exp_labels": down, "exp_annotations": notes}],
            },
            {"eval_time": "5m", "alertname": "LbNoBackend", "exp_alerts": []},
        ],
    }
    file = tmp_path / "test.yml"
    files = [str(written / "lb.alerts.yml")]
    file.write_text(
        json.dumps({"rule_files": files, "evaluation_interval": "30s", "tests": [test]})
    )
    promtool("test", "rules", file)
