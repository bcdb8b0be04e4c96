"""dbt's unit tests, which no refresh runs."""

from cinelake.settings import Settings
from lakehouse.publish import ensure_tables
from pipeline.dbt import run_dbt

FEWEST = 30


def test_the_unit_tests_of_the_models_pass(settings: Settings) -> None:
    ensure_tables(settings)
    # Unit tests take the types of their columns from tables, which stay empty here.
    built = run_dbt(settings, ["run"])
    assert built.success, built.failed
    result = run_dbt(settings, ["test", "--select", "test_type:unit"])
    assert result.success, result.failed
    assert len(result.nodes) >= FEWEST
