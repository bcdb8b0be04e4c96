"""One run id ties the lines of a refresh together, wherever they were written, and none tells of a person or a key."""

import json
import re
from pathlib import Path

from cinelake.masking import API_KEY, EMAIL, IPV4
from cinelake.stack.state import load_env
from tests.demo.watched_run import JVM, RUN, WatchedRun
from tests.integration.conftest import CommandLine

SECRETS = ("CINELAKE_API_KEY", "CINELAKE_PSEUDONYM_KEY", "ANALYST_PASSWORD", "POSTGRES_URI")


def test_every_line_of_a_run_has_its_id(watched_run: WatchedRun) -> None:
    assert {json.loads(line)["run_id"] for line in watched_run.commands} == {RUN}
    assert watched_run.api
    for line in watched_run.api:
        assert RUN in line
        assert "accepted=" in line
    assert len(watched_run.dbt) > 100
    assert {json.loads(line)["run_id"] for line in watched_run.dbt} == {RUN}


def test_every_stage_of_a_run_has_lines(watched_run: WatchedRun) -> None:
    stages = {json.loads(line)["stage"] for line in watched_run.commands}
    assert stages >= {"silver", "gate", "publish", "dbt", "swap", "refresh"}


def test_spark_logs_under_the_id_of_the_run_and_masks(
    lakehouse: CommandLine, tmp_path: Path
) -> None:
    script = tmp_path / "complain.py"
    script.write_text(
        "from cinelake.log import configure_logging\n"
        "from cinelake.settings import get_settings\n"
        "from spark_streaming.session import build_session\n"
        "configure_logging(get_settings())\n"
        "spark = build_session(get_settings())\n"
        "manager = spark._jvm.org.apache.logging.log4j.LogManager\n"
        "error = spark._jvm.RuntimeException('for jane@mail.example')\n"
        "manager.getLogger('org.apache.spark.x').error('from 203.0.113.9 to 127.0.0.1', error)\n"
    )
    for log_format in ("json", "console"):
        environment = {"CINELAKE_LOG_FORMAT": log_format, "CINELAKE_RUN_ID": RUN}
        done = CommandLine(lakehouse.environment | environment).python(script)
        lines = [line for line in done.stderr.splitlines() if not line.startswith(JVM)]
        assert "jane" not in done.stderr
        assert "203.0.113.9" not in done.stderr
        assert "127.0.0.1" in lines[0]
        if log_format == "console":
            assert f"run_id={RUN}" in done.stderr
            continue
        (found,) = (json.loads(line) for line in lines)
        assert found["event"] == "x: from *** to 127.0.0.1"
        assert "RuntimeException: for ***" in found["exception"]
        assert (found["run_id"], found["stage"], found["level"]) == (RUN, "spark", "ERROR")


def test_an_error_is_a_line_of_the_log_where_a_machine_reads_it(lakehouse: CommandLine) -> None:
    away = {"CINELAKE_LOG_FORMAT": "json", "POSTGRES_URI": "postgresql://no:s3cr3t@127.0.0.1:1/x"}
    done = CommandLine(lakehouse.environment | away).run("gates", check=False)
    assert done.returncode == 5
    line = json.loads(done.stderr.splitlines()[-1])
    assert line["exit_code"] == 5
    assert line["event"].startswith("PostgreSQL cannot be reached")
    assert "s3cr3t" not in done.stderr


def test_no_log_tells_of_a_person_or_holds_a_key(home: Path, watched_run: WatchedRun) -> None:
    settings = load_env(home)
    texts = {
        path: path.read_text(errors="replace")
        for folder in ("stack/logs", "dbt")
        for path in (home / folder).rglob("*.log*")
    } | {Path("standard error"): "\n".join(watched_run.commands)}
    assert len(texts) >= 8
    for path, text in texts.items():
        for name in SECRETS:
            secret = settings[name].partition("cinelake:")[2].partition("@")[0] or settings[name]
            assert secret not in text, (path, name)
        for pattern in (EMAIL, API_KEY):
            assert not re.findall(pattern, text), path
        addresses = set(re.findall(IPV4, text))
        assert {each for each in addresses if not each.startswith(("127.", "0.0.0.0"))} == set(), (
            path
        )
