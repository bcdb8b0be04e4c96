"""What the OpenAPI document says is what the API does: thousands of generated requests, good and bad."""

import re
import subprocess
import sys
from pathlib import Path

from cinelake.settings import Settings
from cinelake.stack.api import endpoint
from ingestion.api import keys

CASES = 5_000
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
)


def test_generated_requests_get_what_the_document_says(stack: Settings, tmp_path: Path) -> None:
    key = keys.create_key(stack, "schemathesis", requests_per_second=1_000_000)
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        *("run", f"{endpoint(stack)}/openapi/openapi.json", "--header", f"X-API-Key: {key}"),
        *("--checks", ",".join(CHECKS), "--phases", "coverage,fuzzing"),
        *("--max-examples", "300", "--max-time", "150", "--workers", "2"),
        *("--generation-deterministic", "--no-color"),
    ]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stdout[-5000:]
    passed = re.search(r"([\d,]+) generated, ([\d,]+) passed", done.stdout)
    assert passed is not None, done.stdout[-2000:]
    assert passed[1] == passed[2]
    assert int(passed[1].replace(",", "")) >= CASES
