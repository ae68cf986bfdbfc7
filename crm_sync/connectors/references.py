"""Fields that point to another record of the CRM and are given its name: it is found once, remembered, or refused."""

import hashlib
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

from crm_sync.connectors.base import Connector, Stopped
from crm_sync.connectors.values import clipped
from crm_sync.outcomes import Rejected
from leads.texts import gettext as _

T = TypeVar("T")


class References(Generic[T]):
    """The records that the fields of one connector point to.

    `find`: which a field may point to under a name, at least two where there are several; it may raise Stopped or
    NoAnswer. `seconds`: how long one that was found is remembered. One that was not found may come any moment, and is
    asked for again.
    """

    def __init__(
        self, connector: Connector, find: Callable[[str, str], Sequence[T]], *, seconds: float = 600.0
    ) -> None:
        self._connector, self._find, self._seconds = connector, find, seconds

    def one(self, field: str, name: str) -> T:
        """The record of that name. Raises NoAnswer or Stopped, with the refusal of the field where there is not one."""
        return self._connector.remembered(_key(field, name), lambda: (self._only(field, name), self._seconds))

    def known(self, field: str, name: str) -> T | None:
        """The record of that name, where it was found before. Asks nobody."""
        known: T | None = self._connector.known(*_key(field, name))
        return known

    def forget(self, field: str, name: str) -> None:
        """Look it up anew the next time: it is not there any more."""
        self._connector.forget(*_key(field, name))

    def _only(self, field: str, name: str) -> T:
        found = self._find(field, name)
        if len(found) == 1:
            return found[0]
        crm, known = self._connector.spec.label, self._connector.fields.get(field)
        named = {"crm": crm, "name": clipped(name), "field": known.label if known else field}
        if found:
            reason = _("{crm} has several “{name}” for “{field}”: give the id of the one that is meant.")
        else:
            reason = _(
                "{crm} has no “{name}” for “{field}”: create it there, or choose another in the mapping."
            )
        raise Stopped(Rejected(reason.format(**named), field=field))


def _key(field: str, name: str) -> tuple[Hashable, ...]:
    # A name may be as long as a lead: what is remembered is as short as its digest.
    return ("reference", field, hashlib.sha256(name.encode("utf-8", "replace")).digest())
