"""The exporter's process looks after what nobody else would, beside the answers it gives."""

import threading
from pathlib import Path

import pytest
import structlog

from cinelake.errors import ServiceError
from cinelake.log import current_run_id
from cinelake.settings import Settings, load_settings
from monitoring import exporter


def test_the_role_analyst_is_looked_after_once_a_minute_and_never_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings(CINELAKE_HOME=str(tmp_path))
    hangs, looked = threading.Event(), []

    def look_after(given: Settings) -> None:
        looked.append((given, current_run_id()))
        hangs.wait(10)
        raise ServiceError("PostgreSQL cannot be reached.")

    monkeypatch.setattr(exporter, "look_after", look_after)
    with (
        structlog.contextvars.bound_contextvars(run_id="one"),
        exporter.open_server(lambda: settings, 0) as server,
        structlog.testing.capture_logs() as lines,
    ):
        for _ in range(3):
            server.service_actions()
        monkeypatch.setattr(server, "_next_look", 0.0)
        # The first look has not come back yet.
        server.service_actions()
        hangs.set()
        server._looking.join(10)
    assert looked == [(settings, "one")]
    assert [line["reason"] for line in lines] == ["PostgreSQL cannot be reached."]
