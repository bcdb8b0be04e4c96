"""Alerts over a real HTTP server and a real SMTP server: once a problem, and once more when it is over."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from cinelake.errors import GateFailedError, ServiceError, SettingError
from cinelake.settings import Settings, load_settings
from expectations.advice import ADVICE
from expectations.results import GateResult, RuleResult
from monitoring import services
from pipeline import alerts
from pipeline.refresh import RefreshReport, recorded
from tests.integration.inbox import Inbox, open_inbox

DBT = GateFailedError("dbt refused gold_next: 1 of 200 nodes failed.\n  ratings: älter", "Mend it.")

DBT_NAME = "dbt refused gold_next"


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    """Both servers, on free ports of loopback."""
    with open_inbox() as found:
        yield found


@pytest.fixture
def told(inbox: Inbox, tmp_path: Path) -> Settings:
    """Settings with both channels."""
    return load_settings(
        CINELAKE_HOME=str(tmp_path),
        CINELAKE_ALERT_WEBHOOK=inbox.webhook,
        CINELAKE_SMTP_URI=inbox.smtp,
        CINELAKE_ALERT_RECIPIENTS="data@movies.example,on-call@movies.example",
        CINELAKE_ALERT_SENDER="cinelake@movies.example",
    )


def test_a_problem_is_told_once_and_once_more_when_it_is_over(inbox: Inbox, told: Settings) -> None:
    alerts.after_run(told, "one", None)
    alerts.after_run(told, "two", DBT)
    alerts.after_run(told, "three", DBT)
    noticed = ["Cinelake: problem: dbt refused gold_next"]
    assert inbox.titles() == (noticed, noticed)
    text = inbox.posted[0]["text"]
    assert "ratings: älter" in text and "Mend it." in text and "run two" in text
    (mail,) = inbox.mailed
    assert (mail["From"], mail["To"]) == ("cinelake@movies.example", told.alert_recipients)
    assert "ratings: älter" in mail.get_payload(decode=True).decode()
    assert [problem.run_id for problem in alerts.open_problems(told)] == ["two"]

    away = ServiceError("PostgreSQL cannot be reached: refused")
    alerts.after_run(told, "four", away)
    alerts.after_run(told, "five", None)
    alerts.after_run(told, "six", None)
    away_told = "Cinelake: problem: PostgreSQL cannot be reached"
    over = [title.replace("problem", "over") for title in (*noticed, away_told)]
    assert inbox.titles() == ([*noticed, away_told, *over],) * 2
    assert alerts.open_problems(told) == []
    alerts.after_run(told, "seven", DBT)
    assert inbox.titles()[0][-1] == noticed[0]


def test_a_channel_that_is_away_is_told_after_a_later_run(
    inbox: Inbox, told: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    inbox.status = 500
    alerts.after_run(told, "one", DBT)
    assert [len(each) for each in inbox.titles()] == [0, 1]
    inbox.status = 200
    alerts.after_run(told, "two", DBT)
    assert [len(each) for each in inbox.titles()] == [1, 1]
    inbox.status = 500
    alerts.after_run(told, "three", None)
    inbox.status = 200
    alerts.after_run(told, "four", None)
    assert inbox.titles()[0][-1] == inbox.titles()[1][-1] == "Cinelake: over: dbt refused gold_next"
    assert [len(each) for each in inbox.titles()] == [2, 2]
    assert "secret-part" not in capfd.readouterr().err


def test_who_was_never_told_of_a_problem_is_not_told_that_it_is_over(
    inbox: Inbox, told: Settings
) -> None:
    inbox.status = 500
    alerts.after_run(told, "one", DBT)
    inbox.status = 200
    alerts.after_run(told, "two", None)
    assert [len(each) for each in inbox.titles()] == [0, 2]


def gold_gate(*unusual: str, run_id: str = "run") -> GateResult:
    """The rules that warn, of which the named ones failed, and one that blocks and holds."""
    rules = [
        RuleResult(
            table="gold.fact_user_event",
            rule=name,
            column="",
            success=name not in unusual,
            observed="1 rows break it" if name in unusual else "0 rows break it",
            expected=f"the usual {name}",
            rows_checked=10,
            severity="block" if name == "unique" else "warn",
        )
        for name in ("unique", "freshness", "volume")
    ]
    return GateResult("gold", run_id, 0.1, tuple(rules))


STALE = "gold.fact_user_event: freshness is unusual"
FEW = "gold.fact_user_event: volume is unusual"


def test_a_warning_is_told_once_and_once_more_when_its_rule_holds(
    inbox: Inbox, told: Settings
) -> None:
    alerts.after_run(told, "one", None, [gold_gate("freshness", "volume")])
    alerts.after_run(told, "two", None, [gold_gate("freshness", "volume")])
    noticed = [f"Cinelake: warning: {name}" for name in (STALE, FEW)]
    assert inbox.titles() == (noticed, noticed)
    for text in (inbox.posted[0]["text"], inbox.mailed[0].get_payload(decode=True).decode()):
        assert "Observed: 1 rows break it" in text and "Expected: the usual freshness" in text
        assert ADVICE["freshness"] in text and "Owner: data-platform" in text and "run one" in text
    assert [problem.name for problem in alerts.open_problems(told)] == [STALE, FEW]

    alerts.after_run(told, "three", None, [gold_gate("volume")])
    alerts.after_run(told, "four", None, [gold_gate("volume")])
    assert inbox.titles() == ([*noticed, f"Cinelake: over: {STALE}"],) * 2
    assert "The rule holds again." in inbox.posted[-1]["text"]
    assert [problem.name for problem in alerts.open_problems(told)] == [FEW]


def test_a_run_that_did_not_look_at_a_warning_does_not_end_it(inbox: Inbox, told: Settings) -> None:
    alerts.after_run(told, "one", None, [gold_gate("freshness")])
    silver = RuleResult("silver.ratings", "range", "rating", False, "1 of 2", "at most 10", 2, 1)
    alerts.after_run(told, "two", DBT, [GateResult("silver", "two", 0.1, (silver,))])
    alerts.after_run(told, "three", DBT)
    assert [problem.name for problem in alerts.open_problems(told)] == [STALE, DBT_NAME]
    # A run that goes through ends what ended those before it, and the warning only if its gate looked again.
    alerts.after_run(told, "four", None, [GateResult("silver", "four", 0.1, ())])
    assert [problem.name for problem in alerts.open_problems(told)] == [STALE]
    alerts.after_run(told, "five", ServiceError("The swap: refused"), [gold_gate()])
    assert [problem.name for problem in alerts.open_problems(told)] == ["The swap"]
    assert inbox.titles()[0] == [
        f"Cinelake: warning: {STALE}",
        f"Cinelake: problem: {DBT_NAME}",
        f"Cinelake: over: {DBT_NAME}",
        f"Cinelake: over: {STALE}",
        "Cinelake: problem: The swap",
    ]


def test_a_run_that_failed_tells_of_its_failure_and_of_no_warning(
    inbox: Inbox, told: Settings
) -> None:
    alerts.after_run(told, "one", DBT, [gold_gate("freshness")])
    assert inbox.titles()[0] == [f"Cinelake: problem: {DBT_NAME}"]
    alerts.after_run(told, "two", None, [gold_gate("freshness")])
    assert inbox.titles()[0][1:] == [
        f"Cinelake: over: {DBT_NAME}",
        f"Cinelake: warning: {STALE}",
    ]


def test_what_was_told_before_there_were_warnings_is_still_read(
    inbox: Inbox, told: Settings
) -> None:
    alerts.after_run(told, "one", DBT)
    path = told.home / "alerts.json"
    kept = json.loads(path.read_text())
    del kept["problems"][0]["table"]
    path.write_text(json.dumps(kept))
    alerts.after_run(told, "two", None)
    assert inbox.titles()[0][-1] == f"Cinelake: over: {DBT_NAME}"


def test_a_refresh_hands_the_results_of_its_gates_to_the_alerts(
    inbox: Inbox, settings: Settings, tmp_path: Path
) -> None:
    own = settings.model_copy(
        update={"home": tmp_path / "home", "alert_webhook": SecretStr(inbox.webhook)}
    )
    own.home.mkdir()
    for run_id, unusual in (("one", ["volume"]), ("two", [])):
        with recorded(own, RefreshReport(run_id)) as report:
            report.gates.append(gold_gate(*unusual, run_id=run_id))
    assert inbox.titles()[0] == [f"Cinelake: warning: {FEW}", f"Cinelake: over: {FEW}"]


def test_any_other_error_is_told_with_its_kind(inbox: Inbox, told: Settings) -> None:
    alerts.after_run(told, "one", ZeroDivisionError("by zero"))
    assert inbox.titles()[0] == ["Cinelake: problem: ZeroDivisionError"]


def test_a_text_of_others_arrives_whatever_it_holds_and_calls_nobody(
    inbox: Inbox, told: Settings
) -> None:
    text = "<!channel> <https://evil.example|ours> &amp; \x1b[2J \ud800 \u2028 \r\n.\r\nBcc: x@y.example"
    assert alerts.send_text(told, text, text) == {"webhook": "", "e-mail": ""}
    (posted,), (mail,) = inbox.posted, inbox.mailed
    assert "<" not in posted["text"]
    assert "&lt;!channel&gt;" in posted["text"] and "&amp;amp;" in posted["text"]
    assert mail["Bcc"] is None
    assert "\\ud800" in mail.get_payload(decode=True).decode()


def test_a_trial_says_which_channel_is_away(inbox: Inbox, told: Settings) -> None:
    assert alerts.send_text(told, "Cinelake: trial", "A trial.") == {"webhook": "", "e-mail": ""}
    inbox.status = 404
    assert alerts.send_text(told, "Cinelake: trial", "A trial.") == {
        "webhook": "the webhook answered 404",
        "e-mail": "",
    }


def test_without_a_channel_what_is_open_is_listed_and_told_to_the_first_channel_to_come(
    inbox: Inbox, tmp_path: Path
) -> None:
    settings = load_settings(CINELAKE_HOME=str(tmp_path))
    for run in ("one", "two", "three"):
        alerts.after_run(settings, run, None, [gold_gate("volume")])
    (problem,) = alerts.open_problems(settings)
    assert (problem.run_id, problem.table) == ("one", "gold.fact_user_event")
    found = {each.name: each for each in services.services(settings)}
    assert found["cinelake_open_problems"].samples[0].value == 1
    later = load_settings(CINELAKE_HOME=str(tmp_path), CINELAKE_ALERT_WEBHOOK=inbox.webhook)
    alerts.after_run(later, "four", None, [gold_gate("volume")])
    assert inbox.titles()[0] == [f"Cinelake: warning: {problem.name}"]
    alerts.after_run(settings, "five", None, [gold_gate()])
    assert alerts.open_problems(settings) == []
    with pytest.raises(SettingError, match="No channel is configured"):
        alerts.send_text(settings, "Cinelake: trial", "A trial.")


def test_what_an_orchestrator_tells_of_is_over_when_it_says_so_and_not_before(
    inbox: Inbox, told: Settings
) -> None:
    for message in ("Task silver failed: no memory", "Task silver failed again"):
        alerts.raise_problem(told, "Airflow DAG tmdb", message, "Its log: here", "one")
    alerts.after_run(told, "two", None)
    assert [problem.name for problem in alerts.open_problems(told)] == ["Airflow DAG tmdb failed"]
    assert inbox.titles()[0] == ["Cinelake: problem: Airflow DAG tmdb failed"]
    assert "no memory" in inbox.posted[0]["text"]
    alerts.settle_problem(told, "Airflow DAG another")
    assert alerts.open_problems(told)
    for _ in range(2):
        alerts.settle_problem(told, "Airflow DAG tmdb")
    assert alerts.open_problems(told) == []
    assert inbox.titles()[1][1:] == ["Cinelake: over: Airflow DAG tmdb failed"]
    assert "Airflow DAG tmdb went through again." in inbox.posted[1]["text"]


def test_a_job_that_was_late_before_it_failed_is_told_as_both_and_is_over_at_once(
    inbox: Inbox, told: Settings
) -> None:
    job = "Airflow DAG tmdb"
    for _ in range(2):
        alerts.raise_problem(told, job, "It has not ended.", "Look at it.", "one", "is late")
        alerts.raise_problem(told, job, "No memory.", "Its log: here", "one")
    told_of = [f"{job} is late", f"{job} failed"]
    assert inbox.titles()[0] == [f"Cinelake: problem: {name}" for name in told_of]
    alerts.settle_problem(told, job)
    assert inbox.titles()[0][2:] == [f"Cinelake: over: {name}" for name in told_of]
