"""What the DAGs share: a task that calls the `cinelake` command line, and how people are told of what fails.

No stage is programmed here: a task is a command, and whatever it decides is decided there.
"""

import json
import logging
import os
import re
import shlex
import signal
import subprocess
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import IO, Any

from airflow.sdk import Asset, BaseOperator, Context
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
)

COMMAND = os.environ.get("CINELAKE_COMMAND", "cinelake")
"""The command line of the project's own environment, whose packages Airflow's own would not go with."""

SPARK_POOL = "spark"
"""One slot: two Spark jobs, or two builds of gold, never share the machine's cores."""

NOT_MENDED_BY_A_RETRY = frozenset({2, 3, 4, 6, 7})
"""Exit codes of what stays as it is until somebody mends it: a wrong setting, a refused gate, counts that do not add up,
damaged data; or is no worse for waiting: a few movies of which TMDB has no good answer.
Anything else may be over in a while: a service that is down, or a command that was killed for want of memory."""

BRONZE = Asset("cinelake_bronze", uri="cinelake://lake/bronze")
SILVER = Asset("cinelake_silver", uri="cinelake://lake/silver")
SILVER_IN_POSTGRES = Asset("cinelake_silver_in_postgres", uri="cinelake://postgres/silver")
GOLD = Asset("cinelake_gold", uri="cinelake://postgres/gold")
MOVIE_TOPIC = Asset("cinelake_movie_topic", uri="cinelake://kafka/movie")

LINES_OF_AN_ERROR = 30
PATIENCE_SECONDS = 30
CALL_SECONDS = 40
"""Less than what Airflow gives to a file's callbacks, its parsing included (`dag_file_processor_timeout`, 50 s)."""
FRAME_OF_AN_ERROR = re.compile(r"\W*─+ error ─+\W*$")
SIDES_OF_A_FRAME = "│╰╯─ "
WORDS_OF_A_RUN = re.compile(r"[^A-Za-z0-9_.-]+")

_log = logging.getLogger(__name__)


class CinelakeOperator(BaseOperator):
    """Runs one `cinelake` command; what it prints as JSON becomes the task's XCom.

    Args:
        command: The command and its arguments, as one would type them after `cinelake`; a template.
        skip_unless: A name in what it prints: where that is false the task, and what needs it, is skipped.
        options: Those of every operator; `doc_md` says what the task does, and why it may be repeated.
    """

    template_fields: Sequence[str] = ("command",)
    ui_color = "#f5e1c8"

    def __init__(self, *, command: str, skip_unless: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.command = command
        self.skip_unless = skip_unless
        self._process: subprocess.Popen[str] | None = None

    def execute(self, context: Context) -> Any:
        """Run it; its lines go to the task's log.

        Returns:
            What it printed, if that is JSON; else None.

        Raises:
            AirflowFailException: It failed for a reason that no retry mends.
            AirflowException: It failed for another one.
            AirflowSkipException: There is nothing to do.
        """
        arguments = shlex.split(self.command)
        environment = os.environ | {"CINELAKE_RUN_ID": run_name(context)}
        # A session of its own, so that a task that is killed takes all its processes with it.
        self._process = subprocess.Popen(
            [COMMAND, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        last: deque[str] = deque(maxlen=LINES_OF_AN_ERROR)
        reader = Thread(target=self._follow, args=(self._process.stderr, last), daemon=True)
        reader.start()
        printed = self._process.stdout.read()
        code = self._process.wait()
        reader.join()
        for line in printed.splitlines():
            self.log.info("%s", line)
        if code:
            kind = AirflowFailException if code in NOT_MENDED_BY_A_RETRY else AirflowException
            raise kind(f"cinelake {self.command} ended with {code}:\n" + _error_of(list(last)))
        found = _as_json(printed)
        if self.skip_unless and not found[self.skip_unless]:
            raise AirflowSkipException(f"cinelake {self.command} finds nothing to do")
        return found

    def on_kill(self) -> None:
        """Ask it to end, and insist when it does not."""
        if self._process is None or self._process.poll() is not None:
            return
        group = os.getpgid(self._process.pid)
        os.killpg(group, signal.SIGTERM)
        try:
            self._process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(group, signal.SIGKILL)

    def _follow(self, stream: IO[str], last: deque[str]) -> None:
        for line in stream:
            self.log.info("%s", line.rstrip())
            last.append(line.rstrip())


def run_name(context: Context) -> str:
    """The id that all commands of a DAG run share, in Cinelake's logs, gate results and history of runs."""
    return WORDS_OF_A_RUN.sub("-", f"{context['dag'].dag_id}-{context['run_id']}")[:120]


def tell_failure(context: Context) -> None:
    """Tell people, over Cinelake's channels, that a task has failed for good; once until its DAG goes through."""
    task = context["task_instance"]
    _call(
        *("alerts", "raise", f"Airflow DAG {task.dag_id}"),
        *(
            "--message",
            f"Task {task.task_id} failed: {context.get('exception') or 'it was killed'}",
        ),
        *("--hint", f"Its log: {task.log_url}"),
    )


def tell_success(context: Context) -> None:
    """Tell people that the DAG goes through again, if they were told that it did not, or not in time."""
    _call("alerts", "settle", f"Airflow DAG {context['dag'].dag_id}")


def tell_deadline(dag_id: str, minutes: int, **_: Any) -> None:
    """Tell people that a run of a DAG takes longer than it should; whether it then fails is told besides."""
    _call(
        *("alerts", "raise", f"Airflow DAG {dag_id}", "--state", "is late"),
        *("--message", f"A run has not ended within {minutes} min of being queued."),
        *("--hint", "Look which task it is in; what it has not done, the next run does."),
    )


def _call(*arguments: str) -> None:
    """Run a command whose failure must not become one of the run; the log of whoever runs it says so."""
    done = subprocess.run(
        [COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=CALL_SECONDS,
    )
    level = logging.ERROR if done.returncode else logging.INFO
    _log.log(
        level, "cinelake %s ended with %d\n%s", shlex.join(arguments), done.returncode, done.stdout
    )


COMMON: dict[str, Any] = {
    "start_date": datetime(2025, 1, 1, tzinfo=UTC),
    "catchup": False,
    "max_active_runs": 1,
    "default_args": {
        "owner": "data-platform",
        # A command takes what is still to be taken, so that a retry is safe; the docs of its task say why.
        "retries": 3,
        "retry_delay": timedelta(seconds=30),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=10),
        "execution_timeout": timedelta(hours=1),
        "on_failure_callback": tell_failure,
    },
    "on_success_callback": tell_success,
}
"""What every DAG has in common."""


def _error_of(lines: list[str]) -> str:
    """What a command says of its error: the text in the frame that it draws last, and the next step below it.

    The whole, tables included, is in the log; people read this in a chat. Of a traceback, which has no frame, all is told.
    """
    frames = [number for number, line in enumerate(lines) if FRAME_OF_AN_ERROR.match(line)]
    if not frames:
        return "\n".join(lines)
    texts = (line.strip(SIDES_OF_A_FRAME) for line in lines[frames[-1] + 1 :])
    return "\n".join(filter(None, texts))


def _as_json(printed: str) -> Any:
    try:
        return json.loads(printed)
    except json.JSONDecodeError:
        return None
