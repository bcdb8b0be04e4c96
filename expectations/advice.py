"""What to do about a rule that failed, and whose concern it is."""

from lakehouse.contract import table as contract_of

ADVICE = {
    "columns_exist": "Run `cinelake contracts check`: the table is not what its contract says.",
    "type": "Run `cinelake contracts check`: a column has another type than its contract says.",
    "not_null": "Trace a row: the stage before left the value out. Mend the row or the transform, and refresh again.",
    "unique": "Trace a row: a key stands twice. Find what wrote beside the refresh, delete the wrong row, and refresh.",
    "valid_values": "If the value is a new one, add it to the contract; else mend the row, and refresh again.",
    "range": "If the bound is wrong, change the contract; else mend the row, and refresh again.",
    "length": "If the text may be longer, change the contract; else mend the row, and refresh again.",
    "pattern": "If the pattern is too narrow, change the contract; else mend the row, and refresh again.",
    "uuid": "Trace a row: something wrote an id that is none. Mend the row, and refresh again.",
    "reference": "Run `cinelake gold --full-refresh`: a fact points to a member that its dimension does not have.",
    "one_unknown_member": "Run `cinelake gold --full-refresh`, which makes the dimension anew with its unknown member.",
    "row_count": "Run `cinelake gold --full-refresh`: the fact has lost or doubled events of silver.",
    "freshness": "See whether the producers send and the API answers: `cinelake status`, and the time of the newest event.",
    "volume": "Compare `cinelake status` with the run before: a producer may have stopped, or a deployment sends less.",
    "event_type_vanished": "Ask the producer whether this type was renamed, and look for it in `cinelake quarantine stats`.",
    "unknown_movies": "Run `cinelake tmdb sync` or load the catalogue: events name movies that it does not have.",
    "mean_rating": "Look at the day's ratings: a changed scale, or one user who rates in bulk.",
    "quarantined": "Run `cinelake quarantine stats`, have the producer mended, and bring rows back with `cinelake recover`.",
}
"""What to do, by the name of a rule."""

PRODUCT_MARTS = frozenset(
    {
        "gold.movie_daily",
        "gold.movie_popularity",
        "gold.movie_recommendations",
        "gold.similar_movies",
        "gold.user_activity",
        "gold.user_retention",
        "gold.session_funnel",
        "gold.genre_trends",
    }
)


def owner_of(table: str) -> str:
    """Whose concern a table is: of bronze and silver the contract says it, of gold the groups of the dbt project.

    Args:
        table: `<layer>.<table>`.
    """
    if table.startswith("gold."):
        return "product-analytics" if table in PRODUCT_MARTS else "data-platform"
    return contract_of(table).owner
