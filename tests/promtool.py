"""Prometheus' own checker, where it is installed."""

import shutil

import pytest


def promtool() -> str:
    """The program; what needs it is skipped where it is not."""
    return shutil.which("promtool") or pytest.skip("promtool is not installed")
