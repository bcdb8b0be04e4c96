"""The version of the rules by which silver reads the messages of bronze.

Raise it by one with every change after which the same messages give other rows: how a message is parsed, judged or
cleaned, how a key or a session is made, a limit in a contract, a column that is computed from now on. The first run
after the update then rebuilds silver in place (`lakehouse.silver.rebuild`), so that old and new messages mean the same.
A change of texts, of plans or of speed raises nothing.
"""

VERSION = 5
"""The present version."""
UNKNOWN = 1
"""The version of tables that name none: silver did not always know its rules."""

PROPERTY = "cinelake.silver_rules"
"""The property of a Delta table of silver that names the version that it was made by."""
