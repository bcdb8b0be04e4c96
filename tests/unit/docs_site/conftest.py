"""A home, and what other tools would have written for the site."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cinelake.settings import Settings, load_settings
from docs_site.build import build_site

AT = datetime(2026, 2, 1, 12, 30, 5, tzinfo=UTC)


@dataclass(frozen=True)
class Docs:
    """Data Docs as a folder and dbt docs as a file."""

    data_docs: Path
    dbt_docs: Path

    def build(self, settings: Settings, text: str) -> Path:
        """Build a site whose first page is one paragraph, and whose second is below a folder."""
        pages = {"index.html": f"<p>{text}</p>", "tables/a.html": "<p>a table</p>"}
        return build_site(settings, pages, AT, self.data_docs, self.dbt_docs)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    home = tmp_path / "home"
    home.mkdir()
    return load_settings(CINELAKE_HOME=str(home))


@pytest.fixture
def docs(tmp_path: Path) -> Docs:
    made = tmp_path / "made"
    (made / "data_docs" / "validations").mkdir(parents=True)
    (made / "data_docs" / "index.html").write_text("<p>data docs</p>")
    (made / "data_docs" / "validations" / "first.html").write_text("<p>first</p>")
    (made / "static_index.html").write_text("<p>dbt docs</p>")
    return Docs(made / "data_docs", made / "static_index.html")
