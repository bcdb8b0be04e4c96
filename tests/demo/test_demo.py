"""The demonstration on generated data, and what a user does afterwards: refuse, break, repair, kill."""

import base64
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests
from pyspark.sql import SparkSession

from cinelake.stack import ports
from cinelake.stack.state import write_private
from pipeline.stages import STAGES
from tests.demo.home import set_rating
from tests.demo.secrets_of import files_that_tell
from tests.integration.conftest import CommandLine, open_to_others


def _event(**fields: object) -> dict[str, object]:
    return {
        "event_id": str(uuid4()),
        "event_type": "rating",
        "schema_version": 1,
        "occurred_at": "2026-02-01T12:00:00Z",
        "user_id": "integration",
        "movie_id": 13,
        "properties": {"rating": 8.5},
    } | fields


def _post(lakehouse: CommandLine, body: bytes | str, **more: str) -> requests.Response:
    return requests.post(
        f"{lakehouse.status()['api_url']}/v1/events",
        data=body,
        headers={"Content-Type": "application/json", "X-API-Key": lakehouse.new_key()} | more,
        timeout=10,
    )


def test_the_summary_has_rows_seconds_gates_and_what_to_try_next(
    lakehouse: CommandLine, home: Path
) -> None:
    summary = (home / "first-demo.txt").read_text()
    for part in ("Ledger", "Stages", "Gates", "The ledger adds up.", "cinelake sql", "make down"):
        assert part in summary
    ledger = lakehouse.status()["ledger"]
    assert ledger["accepted"] > 1_000
    assert f"{ledger['facts']:,}" in summary


def test_nobody_but_its_owner_reads_or_changes_anything_of_a_home(
    lakehouse: CommandLine, home: Path
) -> None:
    assert len(list(home.rglob("*"))) > 1_000
    assert open_to_others(home) == []


def test_no_file_that_a_whole_run_leaves_tells_a_secret(lakehouse: CommandLine, home: Path) -> None:
    assert files_that_tell(home) == []


@pytest.mark.parametrize("name", ["a password", "an API key", "the key of the pseudonyms"])
def test_a_secret_that_a_file_tells_in_any_form_is_found(tmp_path: Path, name: str) -> None:
    told = {
        "a password": "the-password-of-the-owner",
        "an API key": "the_secret_of_a_key-0123",
        "the key of the pseudonyms": "a-key-for-tests-only-",
    }
    write_private(
        tmp_path / "stack.env",
        "\n".join([
            f"POSTGRES_URI=postgresql://cinelake:{told['a password']}@127.0.0.1:1/cinelake",
            f"CINELAKE_API_KEY=cl_0123456789ab_{told['an API key']}",
            f"CINELAKE_PSEUDONYM_KEY={told['the key of the pseudonyms']}",
            "ANALYST_PASSWORD=another-password-of-theirs",
        ]),
    )  # fmt: skip
    raw = told[name].encode()
    padded = raw.ljust(64, b"\0")
    forms = [raw, raw.hex().encode(), raw.hex().upper().encode()]
    forms += [base64.b64encode(before + raw + b" after") for before in (b"", b"a", b"bb", b"ccc")]
    forms += [bytes(byte ^ 0x36 for byte in padded), bytes(byte ^ 0x5C for byte in padded)]
    for number, form in enumerate(forms):
        (tmp_path / f"{number}.log").write_bytes(b"before " + form + b" after")
    (tmp_path / "innocent.log").write_bytes(
        b"0123456789ab cinelake postgresql://127.0.0.1:1/cinelake"
    )
    assert len(files_that_tell(tmp_path)) == len(forms)


def test_the_demonstration_recommends_movies(lakehouse: CommandLine, home: Path) -> None:
    assert re.search(r"recommendations\W+\d", (home / "first-demo.txt").read_text())
    models = json.loads(lakehouse.here("recommend", "status", "--json").stdout)
    assert [each["verdict"] for each in models].count("published") == 1
    for name in ("movie_recommendations", "similar_movies"):
        ((count,),) = lakehouse.sql(f"select count(*) from {name}")
        assert int(count) > 100, name


def test_every_address_in_the_status_answers(lakehouse: CommandLine) -> None:
    status = lakehouse.status()
    assert requests.get(f"{status['api_url']}/readyz", timeout=10).status_code == 200
    page = requests.get(status["site_url"], timeout=10)
    assert page.status_code == 200
    assert f"{status['ledger']['facts']:,}" in page.text
    for link in re.findall(r'href="([^"#]+)"', page.text):
        if "://" not in link:
            answer = requests.get(f"{status['site_url']}/{link}", timeout=10)
            assert answer.status_code == 200, link
    assert all(service["healthy"] for service in status["services"].values())
    assert status["postgres_uri"].startswith("postgresql://analyst:")


def test_the_analyst_reads_gold_and_nothing_else(lakehouse: CommandLine) -> None:
    assert lakehouse.sql("select 1 from fact_user_event limit 1") == [["1"]]
    for refused in (
        "delete from fact_user_event",
        "select 1 from silver.events",
        "select 1 from dim_user_personal",
        "select 1 from int_user_versions",
        "create table t()",
    ):
        assert lakehouse.run("sql", "--", "-c", refused, check=False).returncode != 0


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"not json", 400, "JSON"),
        (_event(event_type="sneeze"), 422, "event_type"),
        (_event(properties={"rating": 11}), 422, "10"),
        ({k: v for k, v in _event().items() if k != "event_id"}, 422, "event_id"),
    ],
)
def test_a_bad_body_is_refused_with_its_reason(
    lakehouse: CommandLine, body: bytes | dict[str, object], status: int, reason: str
) -> None:
    answer = _post(lakehouse, body if isinstance(body, bytes) else json.dumps(body))
    assert answer.status_code == status
    assert reason in json.dumps(answer.json())


@dataclass(frozen=True)
class MixedBatch:
    """A good event between two bad ones: what was answered, and the ledger from before."""

    good: dict[str, object]
    answer: requests.Response
    before: dict[str, Any]


@pytest.fixture(scope="module")
def mixed(lakehouse: CommandLine) -> MixedBatch:
    good = _event()
    batch = [_event(properties={"rating": 11}), good, _event(event_type="sneeze")]
    before = lakehouse.status()["ledger"]
    return MixedBatch(good, _post(lakehouse, json.dumps({"events": batch})), before)


def test_the_bad_events_of_a_mixed_batch_are_named(mixed: MixedBatch) -> None:
    assert mixed.answer.status_code == 202
    answer = mixed.answer.json()
    assert (answer["accepted"], answer["rejected"]) == (1, 2)
    assert sorted({error["index"] for error in answer["errors"]}) == [0, 2]


def test_a_refresh_killed_in_the_middle_is_repaired_by_a_second_demo_with_other_visitors(
    spark: SparkSession, lakehouse: CommandLine, mixed: MixedBatch
) -> None:
    _sign_up_with_a_name_and_a_browser_of_ones_own(lakehouse)
    lakehouse.here("simulate", "--users", "20", "--days", "2", "--seed", "77")
    command = [str(Path(sys.executable).with_name("cinelake")), "refresh"]
    with subprocess.Popen(
        command,
        env=lakehouse.environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as victim:
        assert victim.stderr is not None
        for line in victim.stderr:
            if "silver" in line and "•" in line and "gate" not in line:
                break
        time.sleep(4)
        os.killpg(victim.pid, signal.SIGKILL)
    accepted = lakehouse.status()["ledger"]["accepted"]
    lakehouse.here("demo")
    ledger = lakehouse.status()["ledger"]
    assert (ledger["balanced"], ledger["waiting"]) == (True, {})
    assert ledger["accepted"] == ledger["bronze"] > accepted + 1_000
    assert ledger["facts"] > mixed.before["facts"] + 1_000


def _sign_up_with_a_name_and_a_browser_of_ones_own(lakehouse: CommandLine) -> None:
    """What nobody else says, for whoever looks for it on the site later."""
    told = (
        ("user_upsert", {"name": "Ada Plantagenet"}),
        ("comment", {"comment_id": "planted", "text": "I am Ada Plantagenet."}),
    )
    events = [_event(event_type=kind, user_id="planted", properties=said) for kind, said in told]
    browser = {"User-Agent": "PlantagenetBrowser/7.1 (of Ada)"}
    sent = _post(lakehouse, json.dumps({"events": events}), **browser)
    assert sent.json()["accepted"] == 2


def test_the_good_event_of_a_mixed_batch_arrives_in_gold(
    lakehouse: CommandLine, mixed: MixedBatch
) -> None:
    query = f"select rating from fact_user_event where event_id = '{mixed.good['event_id']}'"
    assert lakehouse.sql(query) == [["8.5"]]
    assert lakehouse.status()["ledger"]["rejected"] == mixed.before["rejected"] + 2


def test_a_row_broken_by_hand_in_silver_never_reaches_gold(
    spark: SparkSession, lakehouse: CommandLine, home: Path, mixed: MixedBatch
) -> None:
    before = lakehouse.sql("select sum(rating), count(*) from ratings")
    set_rating(spark, home, "integration", 99.0)
    webhook = {"CINELAKE_ALERT_WEBHOOK": f"http://{ports.HOST}:{ports.choose([])}/nobody-listens"}
    alerted = CommandLine(lakehouse.environment | webhook)
    refused = alerted.here("refresh", check=False)
    assert refused.returncode == 3
    assert "alert_not_sent" in refused.stderr
    assert "The silver gate refused the data" in alerted.here("alerts", "list").stdout
    assert "silver.ratings" in refused.stderr
    assert f"cinelake trace {mixed.good['event_id']}" in refused.stderr
    shown = alerted.here("gates").stdout
    assert "silver: " in shown
    assert "range(rating)" in shown
    assert f"cinelake trace {mixed.good['event_id']}" in shown
    assert lakehouse.sql("select sum(rating), count(*) from ratings") == before
    refusal = lakehouse.status()["gold"]["refusal"]
    assert refusal["reason"].startswith("The silver gate refused the data")
    set_rating(spark, home, "integration", 8.5)
    alerted.here("refresh")
    assert alerted.here("alerts", "list").stdout == ""
    found = json.loads(alerted.here("gates", "--json").stdout)
    assert {gate["gate"] for gate in found if gate["passed"]} == {"bronze", "silver", "gold"}
    assert lakehouse.sql("select sum(rating), count(*) from ratings") == before
    assert lakehouse.status()["gold"]["refusal"] is None


WATCHED_REFRESH = """
import sys
import psutil
from cinelake import cli
sys.argv = ["cinelake", "refresh"]
try:
    cli.main()
except SystemExit as end:
    assert not end.code
heavy = {"great_expectations", "dbt.cli.main"} & set(sys.modules)
children = [child.name() for child in psutil.Process().children(recursive=True)]
print("loaded:", *heavy, "started:", *children)
"""


def test_a_refresh_with_nothing_to_do_starts_nothing_and_leaves_gold_as_it_is(
    lakehouse: CommandLine, mixed: MixedBatch, tmp_path: Path
) -> None:
    before = lakehouse.status()
    script = tmp_path / "refresh.py"
    script.write_text(WATCHED_REFRESH)
    shown = lakehouse.python(script).stdout
    stages = ", ".join(stage.name for stage in STAGES if not stage.is_last)
    assert f"Nothing to do: {stages}." in shown
    assert shown.splitlines()[-1] == "loaded: started:"
    after = lakehouse.status()
    assert (after["gold"], after["ledger"]) == (before["gold"], before["ledger"])


def test_the_last_swap_is_taken_back_and_done_again(lakehouse: CommandLine) -> None:
    published = lakehouse.status()["gold"]
    lakehouse.here("gold", "rollback")
    assert lakehouse.status()["gold"]["is_rollback"] is True
    lakehouse.here("gold", "rollback")
    assert lakehouse.status()["gold"]["lake_versions"] == published["lake_versions"]


def test_services_killed_come_back_with_their_data(lakehouse: CommandLine) -> None:
    before = lakehouse.status()
    for service in before["services"].values():
        os.kill(service["pid"], signal.SIGKILL)
    lakehouse.run("up")
    after = lakehouse.status()
    assert after["ledger"] == before["ledger"]
    assert all(service["healthy"] for service in after["services"].values())


def test_the_live_page_shows_the_running_stack_in_80_columns(lakehouse: CommandLine) -> None:
    command = [str(Path(sys.executable).with_name("cinelake")), "status", "--watch", "--every", "1"]
    lines: list[str] = []
    with subprocess.Popen(
        command, env=lakehouse.environment | {"COLUMNS": "80"}, stdout=subprocess.PIPE, text=True
    ) as watched:
        assert watched.stdout is not None
        for line in watched.stdout:
            lines.append(line.rstrip("\n"))
            # Rates are told from the second look on.
            if sum(each.startswith("Cinelake") for each in lines) == 3:
                break
        watched.send_signal(signal.SIGINT)
    assert watched.returncode == 130
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    facts = f"{lakehouse.status()['ledger']['facts']:,}"
    assert re.search(rf"^gold .* {facts} +0 +0\.0 [0-9]+ passed", text, re.MULTILINE), text
    assert "● kafka" in text
    assert "Nothing is wrong." in text


def test_the_plain_dbt_call_works_on_gold(lakehouse: CommandLine, tmp_path: Path) -> None:
    dbt = Path(sys.executable).with_name("dbt")
    project = Path(__file__).resolve().parents[2] / "dbt_project"
    environment = lakehouse.environment | {
        "DBT_TARGET_PATH": str(tmp_path / "target"),
        "DBT_LOG_PATH": str(tmp_path / "logs"),
    }
    for arguments in (["run"], ["test"], ["docs", "generate"], ["source", "freshness"]):
        done = subprocess.run(
            [dbt, *arguments],
            cwd=project,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:]
        assert "Warnings" not in done.stdout
