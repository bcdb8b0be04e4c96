"""The docs stage: gather the facts, build Data Docs and dbt docs, and write the site."""

import json
from collections.abc import Callable
from pathlib import Path

from cinelake.settings import Settings
from cinelake.stack.postgres import connect_as_analyst
from docs_site.build import build_site
from docs_site.catalogue import render_catalogue
from docs_site.explore import ask
from docs_site.guides import render_guides
from docs_site.home import render_home
from docs_site.pages import render
from expectations.data_docs import build_data_docs
from pipeline.dbt import generate_docs
from pipeline.docs_catalogue import collect_catalogue
from pipeline.docs_home import collect_home
from pipeline.docs_lineage import COLUMNS, collect_lineage

STEPS = 4
"""How often `build` reports progress."""


def build(settings: Settings, progress: Callable[[int], None] = lambda done: None) -> Path:
    """Build the docs site from what stands in the lake and in PostgreSQL now.

    Args:
        settings: All of them.
        progress: Called with 1 after each of `STEPS` steps.

    Returns:
        The site's `index.html`.

    Raises:
        ServiceError: Kafka or PostgreSQL cannot be reached.
    """
    dbt_docs = generate_docs(settings)
    progress(1)
    data_docs = build_data_docs(settings)
    progress(1)
    manifest = json.loads(dbt_docs.with_name("manifest.json").read_bytes())
    home = collect_home(settings)
    lineage = collect_lineage(manifest)
    with connect_as_analyst(settings) as analyst:
        answers = ask(analyst)
        tables = collect_catalogue(settings, analyst, manifest, lineage)
    progress(1)
    at = home.generated_at
    pages = {
        "index.html": render_home(home),
        "explore.html": render("explore.html", "explore.html", at, answers=answers),
        "lineage.html": render(
            "lineage.html", "lineage.html", at, picture=lineage.picture(), columns=COLUMNS
        ),
        **render_catalogue(tables, at),
        **render_guides(at),
    }
    page = build_site(settings, pages, at, data_docs, dbt_docs)
    progress(1)
    return page
