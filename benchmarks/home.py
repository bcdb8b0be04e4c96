"""A home of a benchmark's own, with the stores it needs, gone at the end."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cinelake.settings import Settings, load_settings
from cinelake.stack import local
from cinelake.stack.service import Service


@contextmanager
def own_home(stores: Sequence[Service] = local.STORES) -> Iterator[Settings]:
    """Settings of running stores, without the API.

    Args:
        stores: Which of them.
    """
    with tempfile.TemporaryDirectory(prefix="cinelake-bench-") as folder:
        # As root, PostgreSQL runs as another account, which has to get in.
        Path(folder).chmod(0o755)
        places = {"CINELAKE_HOME": f"{folder}/home", "DBT_PROFILES_DIR": f"{folder}/dbt"}
        try:
            local.up(load_settings(**places), with_api=False, stores=stores)
            yield load_settings(**places)
        finally:
            local.down(load_settings(**places))
