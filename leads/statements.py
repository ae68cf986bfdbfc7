"""Statements whose SQL is made once: on the way of a lead Django's compiler costs more than the database does.

What is read, inserted or updated still comes from the models, so that a new field needs no word here.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Generic, TypeVar
from uuid import UUID

from django.db import connection, models
from django.db.models.query import get_related_populators

Statement = tuple[str, list[Any]]
TOGETHER = 500  # rows of one INSERT: SQLite takes 32,766 values
Row = TypeVar("Row", bound=models.Model)


# --- Reading -------------------------------------------------------------------------------------------------


class Prepared(Generic[Row]):
    """A query that is compiled at its first run; called with the values of its parameters, it gives model objects.

    `make` gets a mark for each parameter and returns the query with the marks in it, in filters or as the end of a
    slice. Works with `select_related`, annotations and locks; not with `prefetch_related` or `in`.
    """

    def __init__(self, make: Callable[..., "models.QuerySet[Row]"], **marks: Any) -> None:
        self._make, self._marks = make, marks

    def __call__(self, **values: Any) -> list[Row]:
        plan = self._plan(connection.vendor)
        with connection.cursor() as cursor:
            cursor.execute(plan.sql, plan.filled(values))
            rows = cursor.fetchall()
        return [plan.read(row) for row in plan.converted(rows)]

    @cache  # noqa: B019  made once for each query of this program
    def _plan(self, vendor: str) -> "_Plan":
        return _Plan(self._make(**self._marks), self._marks)


class _Plan:
    """The SQL of a query, where its parameters stand, and how its rows become objects."""

    def __init__(self, queryset: "models.QuerySet[Any]", marks: Mapping[str, Any]) -> None:
        # The steps of django.db.models.query.ModelIterable, the first half of them done once.
        self.compiler: Any = queryset.query.get_compiler(connection=connection)
        sql, given = self.compiler.as_sql()
        names = {adapted(mark): name for name, mark in marks.items()}
        self.parameters = [(names.get(value, "") if _hashable(value) else "", value) for value in given]
        for name, mark in marks.items():
            if (limit := f"LIMIT {mark}") in sql:
                self.parameters.append((name, None))
                sql = sql.replace(limit, "LIMIT %s")
        self.sql = sql
        select, info = self.compiler.select, self.compiler.klass_info
        self.model, fields = info["model"], info["select_fields"]
        self.first, self.last = fields[0], fields[-1] + 1
        self.names = [column[0].target.attname for column in select[self.first : self.last]]
        self.related: Any = get_related_populators(info, select, connection.alias)  # type: ignore[call-arg]
        self.annotations = self.compiler.annotation_col_map.items()
        expressions = [column[0] for column in select[: self.compiler.col_count]]
        self.converters = self.compiler.get_converters(expressions)

    def filled(self, values: Mapping[str, Any]) -> list[Any]:
        return [adapted(values[name]) if name else given for name, given in self.parameters]

    def converted(self, rows: Sequence[Any]) -> Any:
        return self.compiler.apply_converters(rows, self.converters) if self.converters else rows

    def read(self, row: Sequence[Any]) -> Any:
        found = self.model.from_db(connection.alias, self.names, row[self.first : self.last])
        for populator in self.related:
            populator.populate(row, found)
        for name, position in self.annotations:
            setattr(found, name, row[position])
        return found


def adapted(value: Any) -> Any:
    """A value as the driver takes it."""
    if isinstance(value, datetime):
        return connection.ops.adapt_datetimefield_value(value)
    if isinstance(value, UUID) and not connection.features.has_native_uuid_field:
        return value.hex
    return value


def _hashable(value: Any) -> bool:
    return isinstance(value, str | int | float | datetime | UUID)


# --- Writing -------------------------------------------------------------------------------------------------


def update(rows: Sequence[models.Model], names: Sequence[str], *, key_name: str = "pk") -> None:
    """Write these fields of rows that the caller has locked: in one statement, where the database can.

    `key_name`: the unique field by which the rows are found, of which no two rows have the same.
    """
    if not rows:
        return
    table = rows[0]._meta.db_table
    key: Any = rows[0]._meta.pk if key_name == "pk" else rows[0]._meta.get_field(key_name)
    fields: list[Any] = [*(rows[0]._meta.get_field(name) for name in names), key]
    columns = [str(field.column) for field in fields[:-1]]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            changes = ", ".join(f'"{column}" = new."{column}"' for column in columns)
            source = f'jsonb_populate_recordset(NULL::"{table}", %s::jsonb) new'
            match = f'old."{key.column}" = new."{key.column}"'
            sql = f'UPDATE "{table}" old SET {changes} FROM {source} WHERE {match}'  # noqa: S608  our own names
            cursor.execute(sql, [as_json(_by_column(row, fields) for row in rows)])
            return
        changes = ", ".join(f'"{column}" = %s' for column in columns)
        sql = f'UPDATE "{table}" SET {changes} WHERE "{key.column}" = %s'  # noqa: S608
        cursor.executemany(sql, [_prepared(row, fields) for row in rows])


def insert_new(rows: Sequence[Row], unique: tuple[str, str]) -> list[Row]:
    """Insert the rows of one model that are not there yet, and give them their ids. Returns them.

    `unique`: the two foreign keys, by attribute, of which no two rows have the same.
    """
    if not rows:
        return []
    made: dict[tuple[Any, ...], Any] = {}
    for start in range(0, len(rows), TOGETHER):
        sql, values = _insertion_of_all(rows[start : start + TOGETHER])
        with connection.cursor() as cursor:
            cursor.execute(f"{sql} ON CONFLICT DO NOTHING RETURNING id, {', '.join(unique)}", values)
            made |= {tuple(key): pk for pk, *key in cursor.fetchall()}
    for row in rows:
        row.pk = made.pop(tuple(adapted(getattr(row, name)) for name in unique), None)
        row._state.adding = row.pk is None
    return [row for row in rows if row.pk is not None]


def _insertion_of_all(rows: Sequence[models.Model]) -> Statement:
    if connection.vendor == "postgresql":
        table = rows[0]._meta.db_table
        fields = [field for field in rows[0]._meta.concrete_fields if not field.primary_key]
        columns = ", ".join(f'"{field.column}"' for field in fields)
        source = f'jsonb_populate_recordset(NULL::"{table}", %s::jsonb)'
        values = [as_json(_by_column(row, fields) for row in rows)]
        return f'INSERT INTO "{table}" ({columns}) SELECT {columns} FROM {source}', values  # noqa: S608  our own names
    statements = [insertion(row) for row in rows]
    head, places = statements[0][0].split(" VALUES ")
    return f"{head} VALUES {', '.join([places] * len(rows))}", [
        value for _, values in statements for value in values
    ]


def insert(rows: Sequence[models.Model]) -> None:
    """Insert rows of one model that leave their id to the database, and whose ids are not needed."""
    for start in range(0, len(rows), TOGETHER):
        with connection.cursor() as cursor:
            cursor.execute(*_insertion_of_all(rows[start : start + TOGETHER]))


def insertion(row: models.Model) -> Statement:
    """The statement that inserts a row; an automatic id is left to the database."""
    columns, plain, prepared = _columns(type(row), row.pk is None)
    values = [getattr(row, name) for name in plain]
    values += [field.get_db_prep_save(getattr(row, field.attname), connection) for field in prepared]
    places = ", ".join(["%s"] * len(values))
    return f'INSERT INTO "{row._meta.db_table}" ({columns}) VALUES ({places})', values  # noqa: S608


# What these hold goes into the database as it is; asking each field again costs as much as a query.
_PLAIN = (models.CharField, models.TextField, models.BooleanField, models.PositiveIntegerField)


def _prepared(row: models.Model, fields: Sequence[Any]) -> list[Any]:
    return [
        getattr(row, field.attname)
        if type(field) in _PLAIN
        else field.get_db_prep_save(getattr(row, field.attname), connection)
        for field in fields
    ]


@cache
def _columns(model: type[models.Model], without_id: bool) -> tuple[str, Sequence[str], Sequence[Any]]:
    fields = [field for field in model._meta.concrete_fields if not (without_id and field.primary_key)]
    plain = [field for field in fields if type(field) in _PLAIN]
    prepared = [field for field in fields if type(field) not in _PLAIN]
    columns = ", ".join(f'"{field.column}"' for field in (*plain, *prepared))
    return columns, [field.attname for field in plain], prepared


def _by_column(row: models.Model, fields: Sequence[Any]) -> dict[str, Any]:
    # As the field prepares it: what is secret is sealed there.
    return {field.column: field.get_prep_value(getattr(row, field.attname)) for field in fields}


def as_json(values: Any) -> str:
    """What `jsonb_populate_record` reads."""
    return json.dumps(values if isinstance(values, dict) else list(values), default=str, ensure_ascii=False)
