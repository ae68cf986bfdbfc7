"""What became of one push, named by who must act next. Pure values; matched exhaustively where they are settled."""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Delivered:
    """Nobody has to act: the record is there. `existed`: our own key was there already, from an earlier try.

    `note`: what staff should know of it all the same, in sentences, such as a text that was cut.
    """

    remote_id: str
    remote_url: str = ""
    existed: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A person must act on this lead, or on its mapping where `field` names the CRM's field.

    `duplicate_of` is the id of the other record that the CRM has of this person; "?" where it names none.
    """

    reason: str
    field: str = ""
    duplicate_of: str = ""


@dataclass(frozen=True, slots=True)
class RetryLater:
    """The clock must act. `delay` in seconds, where the CRM named one; `uncertain`: the record may exist."""

    reason: str
    delay: float | None = None
    uncertain: bool = False


@dataclass(frozen=True, slots=True)
class Throttled:
    """The clock must act, for the whole destination. `delay` in seconds; None where the CRM named none."""

    reason: str
    delay: float | None = None


@dataclass(frozen=True, slots=True)
class DestinationFault:
    """A person must act on the destination: credentials, permission or address. It stops."""

    reason: str


Outcome: TypeAlias = Delivered | Rejected | RetryLater | Throttled | DestinationFault
