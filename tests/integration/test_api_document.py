"""What the OpenAPI document says is what the API does: thousands of generated requests, good and bad."""

import re
import subprocess
import sys
from pathlib import Path

from cinelake.settings import Settings
from cinelake.stack.api import endpoint
from ingestion.api import keys
from ingestion.api.scopes import Scope

CASES = 5_000
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
)


ROUND_SECONDS = 20
"""A round of fuzzing goes on for so long, enough for each operation; how many cases that gives depends on the machine."""


def test_generated_requests_get_what_the_document_says(stack: Settings, tmp_path: Path) -> None:
    key = keys.create_key(stack, "schemathesis", requests_per_second=1_000_000, scopes=list(Scope))
    passed = 0
    rounds = 0
    while passed < CASES:
        phases = "fuzzing" if rounds else "coverage,fuzzing"
        passed += _passed(stack, key, tmp_path, phases, seed=rounds)
        rounds += 1


def _passed(stack: Settings, key: str, folder: Path, phases: str, seed: int) -> int:
    """Cases of one round, each of which got an answer as documented."""
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        *("run", f"{endpoint(stack)}/openapi/openapi.json", "--header", f"X-API-Key: {key}"),
        *("--checks", ",".join(CHECKS), "--phases", phases, "--seed", str(seed)),
        *("--max-examples", "40", "--max-time", str(ROUND_SECONDS), "--workers", "2"),
        # The search for the most telling cases takes the longer the more of them it compares with, and files that
        # nobody reads again take a sixth of the time: a processor second gave 43 cases, and gives 96.
        *("--generation-database", "none"),
        "--no-color",
    ]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stdout[-5000:]
    found = re.search(r"([\d,]+) generated, ([\d,]+) passed", done.stdout)
    assert found is not None, done.stdout[-2000:]
    assert found[1] == found[2] != "0"
    return int(found[1].replace(",", ""))
