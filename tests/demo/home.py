"""What a person with access to a home's lake could do."""

import os
import subprocess
import sys
from pathlib import Path


def set_rating(home: Path, user: str, rating: float) -> None:
    """Change a user's rows of `silver.ratings`, in a process of its own."""
    script = (
        "from cinelake.settings import get_settings\n"
        "from spark_streaming.session import build_session\n"
        "from delta.tables import DeltaTable\n"
        "from lakehouse.tables import table_path\n"
        "settings = get_settings()\n"
        "table = DeltaTable.forPath(build_session(settings), table_path(settings, 'silver.ratings'))\n"
        f"table.update(\"user_id = '{user}'\", {{'rating': '{rating}D'}})\n"
    )
    environment = os.environ | {"CINELAKE_HOME": str(home)}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, capture_output=True)
