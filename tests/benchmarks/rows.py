"""What a benchmark gives: a value beside a reference from the same run, because machines are noisy."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Row:
    """`target` in words; `holds` None where the row has no target of its own."""

    name: str
    value: float
    unit: str
    reference: float | None = None
    ratio: float | None = None
    target: str = ""
    holds: bool | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)
