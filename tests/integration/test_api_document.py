"""What the OpenAPI document says is what the API does: generated requests, good and bad, against the real one."""

import os

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from schemathesis.checks import not_a_server_error
from schemathesis.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from cinelake.settings import Settings
from cinelake.stack.api import endpoint
from ingestion.api import keys

CASES = int(os.environ.get("CINELAKE_SCHEMA_CASES", "5000"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
