"""Prometheus' own checker, where it is installed."""

import shutil

from tests.integration.conftest import not_installed


def promtool() -> str:
    """The program; a test that needs it is skipped where it is not, and fails where everything is meant to be there."""
    return shutil.which("promtool") or not_installed("promtool is not installed")
