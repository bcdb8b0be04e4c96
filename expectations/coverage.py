"""Whether a gate looks at every table that analysts read: `python -m expectations.coverage MANIFEST`, as `make check` does.

What no gate looks at would be published whatever is in it.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from expectations.gold import GOLD_TABLES

NEXT_STEP = (
    "Add a GoldTable to GOLD_TABLES in expectations/gold.py: what makes a row unique, what its keys refer to, and the"
    " values it may hold. A model that only others read is `access: private`."
)


def ungated(manifest: Mapping[str, Any]) -> list[str]:
    """The public tables of dbt that the gold gate does not know.

    Args:
        manifest: The content of dbt's `manifest.json`.

    Returns:
        Their names, sorted. A view is none of them: it shows what is so now, which no gate before it can vouch for.
    """
    public = {
        str(node["name"])
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model"
        and node["config"]["access"] == "public"
        and node["config"]["materialized"] != "view"
    }
    return sorted(public - {table.name for table in GOLD_TABLES})


def main(manifest: str) -> int:
    """Say which tables have no gate.

    Args:
        manifest: Where dbt's manifest is.

    Returns:
        The exit code: 1 when there are some.
    """
    found = ungated(json.loads(Path(manifest).read_text("utf-8")))
    for name in found:
        sys.stderr.write(f"gold.{name} is public, and no gate looks at it.\n")
    if found:
        sys.stderr.write(f"{NEXT_STEP}\n")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
