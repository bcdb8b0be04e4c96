"""What the stack of a home tells Prometheus, and which alerts that fires."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from cinelake.settings import PROJECT_ROOT
from cinelake.stack.state import load_state
from tests.integration.conftest import CommandLine
from tests.promtool import promtool
from tests.scraping import Scrape


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
    """Let Prometheus' own engine say which alerts of a consumer fire a quarter of an hour later, should all go on as it was.

    Args:
        earlier: A scrape.
        later: A later one.
        seconds: The time between them.
        consumer: Whose alerts are asked for.
        names: Those that have to fire, and no others.
        folder: For the file that asks.
    """
    before = dict(earlier.as_series("cinelake_"))
    series = [
        {
            "series": name,
            "values": f"{value}{(value - before.get(name, value)) * 60 / seconds:+f}x20",
        }
        for name, value in later.as_series("cinelake_")
    ]
    expected = [
        {"labels": f'{{alertname="{name}", consumer="{consumer}"}}', "value": 1} for name in names
    ]
    query = f'count by (alertname, consumer) (ALERTS{{alertstate="firing", consumer="{consumer}"}})'
    case = {
        "interval": "1m",
        "input_series": series,
        "promql_expr_test": [{"expr": query, "eval_time": "15m", "exp_samples": expected}],
    }
    file = folder / "scraped.yml"
    rules = str(PROJECT_ROOT / "monitoring" / "alerts.yml")
    file.write_text(yaml.safe_dump({"rule_files": [rules], "tests": [case]}))
    done = subprocess.run(
        [promtool(), "test", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
