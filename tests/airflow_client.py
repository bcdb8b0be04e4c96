"""Airflow's REST API, as a person's script would use it."""

import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

import requests

from cinelake.stack.airflow import PARSE_INTERVAL_SECONDS

PAGE = 100
"""As many as it gives at once."""
ENDED = frozenset({"success", "failed"})
OVER_SECONDS = PARSE_INTERVAL_SECONDS + 120
"""How long after a run's end people may have to wait for the word that a problem is over, on two cores."""


@dataclass
class AirflowClient:
    """A session of the API.

    Args:
        url: Where Airflow is.
        user: The user.
        password: Its password.
    """

    url: str
    user: str
    password: str
    _session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        answer = requests.post(
            f"{self.url}/auth/token",
            json={"username": self.user, "password": self.password},
            timeout=30,
        )
        answer.raise_for_status()
        self._session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    @classmethod
    def from_output(cls, printed: str) -> Self:
        """A session of the Airflow of which `cinelake airflow up` printed address, user and password."""
        address, user = printed.splitlines()[-2:]
        name, password = user.removeprefix("user ").split(", password ")
        return cls(address, name, password)

    def ask(self, method: str, path: str, **options: Any) -> Any:
        """What the API answers; an error of it is raised."""
        answer = self._session.request(method, f"{self.url}/api/v2{path}", timeout=60, **options)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text[:2000]}"
        return answer.json() if answer.content else None

    def trigger(self, dag_id: str, **conf: Any) -> str:
        """Run a DAG now, whether or not it is paused; the id of the run."""
        self.ask("PATCH", f"/dags/{dag_id}", json={"is_paused": False})
        body = {"logical_date": None, "conf": conf}
        return str(self.ask("POST", f"/dags/{dag_id}/dagRuns", json=body)["dag_run_id"])

    def wait(self, dag_id: str, run_id: str, seconds: float) -> dict[str, str]:
        """The state of each task of a run, once it has ended."""
        deadline = time.monotonic() + seconds
        while self.state(dag_id, run_id) not in ENDED:
            assert time.monotonic() < deadline, self.tasks(dag_id, run_id)
            time.sleep(1)
        return self.tasks(dag_id, run_id)

    def succeed(self, dag_id: str, run_id: str, seconds: float) -> None:
        """Wait until a run has ended; what failed in it is raised, with the end of its log."""
        states = self.wait(dag_id, run_id, seconds)
        failed = {name: state for name, state in states.items() if state != "success"}
        logs = [
            self.log(dag_id, run_id, task["task_id"], task["try_number"])[-3000:]
            for task in self.instances(dag_id, run_id)
            if task["state"] == "failed"
        ]
        assert not failed, "\n".join([str(failed), *logs])

    def state(self, dag_id: str, run_id: str) -> str:
        """How a run stands."""
        return str(self.ask("GET", f"/dags/{dag_id}/dagRuns/{run_id}")["state"])

    def tasks(self, dag_id: str, run_id: str) -> dict[str, str]:
        """The state of each task of a run, by its id."""
        return {task["task_id"]: task["state"] for task in self.instances(dag_id, run_id)}

    def instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """All that is known of the tasks of a run."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances"
        found: list[dict[str, Any]] = []
        while True:
            page = self.ask("GET", path, params={"limit": PAGE, "offset": len(found)})
            found += page["task_instances"]
            if len(page["task_instances"]) < PAGE:
                return found

    def xcom(self, dag_id: str, run_id: str, task_id: str) -> Any:
        """What a task returned."""
        return self._xcom(dag_id, run_id, task_id, "return_value")["value"]

    def told_at(self, dag_id: str, run_id: str, task_id: str, key: str) -> datetime:
        """When a task left what others find under a key."""
        return datetime.fromisoformat(self._xcom(dag_id, run_id, task_id, key)["timestamp"])

    def _xcom(self, dag_id: str, run_id: str, task_id: str, key: str) -> Any:
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        return self.ask("GET", path, params={"deserialize": "true"})

    def log(self, dag_id: str, run_id: str, task_id: str, attempt: int = 1) -> str:
        """The lines of a task's log."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{attempt}"
        content = self.ask("GET", path, headers={"Accept": "application/json"})["content"]
        return "\n".join(str(line["event"]) for line in content)
