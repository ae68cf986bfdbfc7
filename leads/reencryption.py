"""Moving every stored secret under the first key, beside a running site."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from django.apps import apps
from django.db import models
from django.db.models import ExpressionWrapper, F, TextField, Value

from leads.vault import EncryptedJSONField, EncryptedTextField, key_of, reseal
from leads.wording import clip

SLICE = 200  # rows read at once


@dataclass(frozen=True, slots=True)
class Column:
    """One encrypted field of one model."""

    model: type[models.Model]
    name: str

    def sealed(self) -> "models.QuerySet[models.Model]":
        """The rows that hold a secret, with its ciphertext as `sealed`: the field itself would open it."""
        as_stored = ExpressionWrapper(F(self.name), output_field=TextField())
        return self.model._base_manager.annotate(sealed=as_stored).exclude(sealed="")

    def rows(self) -> Iterator[tuple[object, str]]:
        """Primary key and ciphertext of each row. In slices: a cursor held open would keep SQLite from writing."""
        found = self.sealed().order_by("pk").values_list("pk", "sealed")
        rows = list(found[:SLICE])
        while rows:
            yield from rows
            rows = list(found.filter(pk__gt=rows[-1][0])[:SLICE])

    def name_of(self, pk: object) -> str:
        row = self.model._base_manager.defer(self.name).filter(pk=pk).first()
        return f"{self.model._meta.verbose_name}: {clip(str(row))}"


@dataclass(slots=True)
class Found:
    """What was found: how many secrets were under which key, by its place, and the names of rows that none opens.

    `moved`: how many of them are under the first key now.
    """

    under: Counter[int] = field(default_factory=Counter)
    closed: list[str] = field(default_factory=list)
    moved: int = 0

    @property
    def total(self) -> int:
        return self.under.total() + len(self.closed)


def columns() -> list[Column]:
    """Every encrypted field of every installed model."""
    return [
        Column(model, column.name)
        for model in apps.get_models(include_auto_created=True)
        if not model._meta.proxy
        for column in model._meta.local_concrete_fields
        if isinstance(column, EncryptedTextField | EncryptedJSONField)
    ]


def look() -> Found:
    """Under which key each secret is. Changes nothing."""
    return _walk(lambda column, pk, sealed: False)


def reencrypt() -> Found:
    """Bring every secret under the first key, each row on its own. Safe to repeat and to break off."""
    return _walk(_move)


def _walk(move: Callable[[Column, object, str], bool]) -> Found:
    found = Found()
    for column in columns():
        for pk, sealed in column.rows():
            place = key_of(sealed)
            if place is None:
                found.closed.append(column.name_of(pk))
            else:
                found.under[place] += 1
                found.moved += bool(place) and move(column, pk, sealed)
    return found


def _move(column: Column, pk: object, sealed: str) -> bool:
    """Returns whether the secret is under the first key now, or gone."""
    while (place := key_of(sealed)) is not None:
        if place == 0:
            return True
        fresh = Value(reseal(sealed), output_field=TextField())
        # Only if it is still what was read: whoever saves new credentials at this moment wins.
        if column.sealed().filter(pk=pk, sealed=sealed).update(**{column.name: fresh}):
            return True
        newer = column.sealed().filter(pk=pk).values_list("sealed", flat=True).first()
        if newer is None:
            return True
        sealed = newer  # perhaps by a process that has the old list of keys still
    return False
