"""Prometheus takes the rules and each of them has a case; Grafana's dashboards are whole, and compose mounts them."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from cinelake.settings import PROJECT_ROOT
from cinelake.stack.metrics import write_targets

FOLDER = PROJECT_ROOT / "monitoring"
RULES = [
    rule
    for group in yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
DASHBOARDS = sorted((FOLDER / "grafana" / "dashboards").glob("*.json"))


def check(*arguments: str) -> None:
    promtool = shutil.which("promtool") or pytest.skip("promtool is not installed")
    done = subprocess.run(
        [promtool, *arguments], cwd=FOLDER, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_accepts_the_rules() -> None:
    check("check", "rules", "alerts.yml")


def test_every_case_of_the_rules_holds() -> None:
    check("test", "rules", "alerts_test.yml")


def test_promtool_accepts_the_configuration_with_its_targets(tmp_path: Path) -> None:
    write_targets(tmp_path, {"metrics": 20001, "api": 20002, "kafka": 1})
    # As compose mounts them.
    for name in ("prometheus.yml", "alerts.yml"):
        (tmp_path / name).write_text((FOLDER / name).read_text())
    (tmp_path / "monitoring").rename(tmp_path / "targets")
    check("check", "config", str(tmp_path / "prometheus.yml"))
    targets = json.loads((tmp_path / "targets" / "targets.json").read_text())
    assert [(each["targets"], each["labels"]["job"]) for each in targets] == [
        (["127.0.0.1:20001"], "cinelake"),
        (["127.0.0.1:20002"], "cinelake-api"),
    ]


def test_every_rule_has_a_case_and_says_what_to_do() -> None:
    cases = (FOLDER / "alerts_test.yml").read_text()
    for rule in RULES:
        assert rule["alert"] in cases
        assert rule["labels"]["severity"] in {"page", "warning"}
        assert set(rule["annotations"]) == {"summary", "action"}, rule["alert"]


def shown(path: Path) -> list[dict[str, Any]]:
    """The panels of a dashboard that ask something."""
    panels: list[dict[str, Any]] = json.loads(path.read_text())["panels"]
    return [panel for panel in panels if panel["type"] != "row"]


def queries(path: Path) -> list[str]:
    """What its panels ask."""
    return [target["expr"] for panel in shown(path) for target in panel["targets"]]


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_fits_the_page_and_asks_the_source_that_is_provisioned(path: Path) -> None:
    board = json.loads(path.read_text())
    assert board["uid"] == path.stem
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    sources = yaml.safe_load(
        (FOLDER / "grafana/provisioning/datasources/prometheus.yml").read_text()
    )["datasources"]
    for panel in shown(path):
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24, panel["title"]
        assert panel["datasource"]["uid"] == sources[0]["uid"]
        assert panel["targets"]


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_promtool_accepts_what_a_dashboard_asks(path: Path, tmp_path: Path) -> None:
    # It takes queries in the form of rules alone.
    rules = [
        {"record": f"asked:{number}", "expr": query} for number, query in enumerate(queries(path))
    ]
    file = tmp_path / "asked.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": path.stem, "rules": rules}]}))
    check("check", "rules", str(file))
