"""What goes in: a record, the door it goes through, and the records that once found a fault."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

Door = Literal["api", "user_logs", "catalog", "csv", "movie"]
"""The API, the topic of events, `catalog load` of JSON lines and of CSV, and the topic of movies."""
DOORS: tuple[Door, ...] = get_args(Door)
RECORDED = Path(__file__).with_name("recorded.jsonl")


@dataclass(frozen=True)
class Sent:
    """A record on its way in.

    Args:
        door: Where it goes in.
        text: JSON as it is sent; of `csv` the fields of a row by their columns.
        why: What it is to show; empty for one that was drawn.
    """

    door: Door
    text: str
    why: str = ""

    @property
    def value(self) -> Any:
        """What the text says, of a repeated name the last; None where it is no JSON."""
        try:
            return json.loads(self.text)
        except ValueError:
            return None

    def recorded(self) -> str:
        """The line that keeps it for good."""
        return json.dumps({"why": self.why, "door": self.door, "text": self.text})


def as_json(value: Any) -> str:
    """JSON in ASCII, so that a lone surrogate is an escape as a client would write it."""
    return json.dumps(value, separators=(",", ":"))


def recorded() -> list[Sent]:
    """The records that once found a fault or tell of a kind of fault, each sent with every run."""
    lines = RECORDED.read_text("utf-8").splitlines()
    return [Sent(**json.loads(line)) for line in lines]
