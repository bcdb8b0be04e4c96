"""What the stack of a home tells Prometheus, and which alerts that fires."""

import shutil
import subprocess
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import promql_parser as promql
import yaml

from cinelake.settings import PROJECT_ROOT
from cinelake.stack.state import load_state
from tests.integration.conftest import CommandLine
from tests.promql import evaluate
from tests.scraping import Scrape

RULES = PROJECT_ROOT / "monitoring" / "alerts.yml"
AHEAD = timedelta(minutes=15)


def scrape(cinelake: CommandLine) -> Scrape:
    """The exporter's metrics and those of the API."""
    home = Path(cinelake.environment["CINELAKE_HOME"])
    ports = load_state(home).ports
    both = [Scrape.of(f"http://127.0.0.1:{ports[name]}/metrics") for name in ("metrics", "api")]
    both[0].samples += both[1].samples
    return both[0]


def wait_for(
    cinelake: CommandLine, holds: Callable[[Scrape], bool], seconds: float = 300
) -> Scrape:
    """Scrape until something holds."""
    deadline = time.monotonic() + seconds
    while not holds(found := scrape(cinelake)):
        assert time.monotonic() < deadline, "\n".join(map(str, found.samples))
        time.sleep(2)
    return found


def require_alerts(
    earlier: Scrape, later: Scrape, seconds: float, consumer: str, names: set[str], folder: Path
) -> None:
    """See which alerts of a consumer fire a quarter of an hour later, should all go on as it was.

    The rules' expressions are evaluated over the scraped values, and where `promtool` is installed by Prometheus' own engine.

    Args:
        earlier: A scrape.
        later: A later one.
        seconds: The time between them.
        consumer: Whose alerts are asked for.
        names: Those that have to fire, and no others.
        folder: For the file that `promtool` reads.
    """
    rules = yaml.safe_load(RULES.read_text())["groups"]
    (of_consumers,) = (group["rules"] for group in rules if group["name"] == "consumers")
    firing = {
        rule["alert"] for rule in of_consumers if _fires(rule, earlier, later, seconds, consumer)
    }
    assert firing == names
    if shutil.which("promtool"):
        _require_of_promtool(earlier, later, seconds, consumer, names, folder)


def _fires(
    rule: dict[str, str], earlier: Scrape, later: Scrape, seconds: float, consumer: str
) -> bool:
    """Whether a rule's expression holds by then, and did for as long as the rule asks: between the two, all grows evenly."""
    held = promql.parse_duration(rule.get("for", "0s"))
    there = [
        {
            labels
            for labels in evaluate(rule["expr"], later.after(earlier, seconds, at.total_seconds()))
            if ("consumer", consumer) in labels
        }
        for at in (AHEAD - held, AHEAD)
    ]
    return bool(there[0] & there[1])


def _require_of_promtool(
    earlier: Scrape, later: Scrape, seconds: float, consumer: str, names: set[str], folder: Path
) -> None:
    growth = later.growth(earlier, seconds)
    series = [
        {"series": name, "values": f"{value}{growth[name] * 60:+f}x20"}
        for name, value in later.as_series("cinelake_").items()
    ]
    expected = [
        {"labels": f'{{alertname="{name}", consumer="{consumer}"}}', "value": 1} for name in names
    ]
    query = f'count by (alertname, consumer) (ALERTS{{alertstate="firing", consumer="{consumer}"}})'
    minutes = AHEAD // timedelta(minutes=1)
    case = {
        "interval": "1m",
        "input_series": series,
        "promql_expr_test": [{"expr": query, "eval_time": f"{minutes}m", "exp_samples": expected}],
    }
    file = folder / "scraped.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "tests": [case]}))
    done = subprocess.run(
        ["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
