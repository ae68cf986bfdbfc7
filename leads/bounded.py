"""Pure: JSON Schema validators that give up in time, whatever the schema and whatever the body.

A schema is a program that staff write and strangers feed: one pattern such as `(a+)+$`, or references that
double at every step, would keep a lead from being stored. So every step looks at the clock, patterns run under a
limit of their own, and what the library does in quadratic time is done here in linear time.
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from math import inf
from time import thread_time
from typing import Any

import regex
from jsonschema import ValidationError
from jsonschema.validators import extend

from leads.texts import gettext as _
from leads.texts import gettext_noop

MATCH_SECONDS = 0.05
LONGEST_TEXT = 20_000
"""Characters that a pattern is tried on. The engine looks at the clock only now and then, which on a quarter of a
megabyte may be once in a second."""
UNSUPPORTED = frozenset(("unevaluatedItems", "unevaluatedProperties"))
"""Keywords whose cost nothing bounds: the library compares every key with every other."""


# What took too long, for the sentence on it; {name} is that of the value that it was tried on.
_OF_VALUE = gettext_noop("The pattern of {name}")
_OF_NAMES = gettext_noop("The pattern for the names in {name}")

# The processor time of this thread, not the clock on the wall: where a machine is busy or was asleep, that is no
# fault of the schema's, and must not send a lead to quarantine.
_now = thread_time
_deadline: ContextVar[float] = ContextVar("deadline", default=inf)


class TooLongError(Exception):
    """Validation was given up. `path` leads to the part of the body that it had come to."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.path: deque[str | int] = deque()

    def __str__(self) -> str:
        name = next((step for step in reversed(self.path) if isinstance(step, str)), _("the whole request"))
        return str(self.args[0]).replace("{name}", name)


class SlowPatternError(TooLongError):
    """One pattern took too long on one text."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Give validation inside so much processor time; past it, TooLongError."""
    token = _deadline.set(_now() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


def bounded(draft: Any) -> Any:
    """The validator class of a draft, with every step bounded."""
    bounds: dict[str, Any] = {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
        "uniqueItems": _unique_items,
        **dict.fromkeys(UNSUPPORTED, _unsupported),
    }
    made: Any = extend(draft, {name: bounds[name] for name in bounds if name in draft.VALIDATORS})
    made.descend, made.iter_errors, made.evolve = (
        _descending(made.descend),
        _iterating(made.iter_errors),
        _evolve,
    )
    return made


@lru_cache(maxsize=512)
def compiled(pattern: str) -> Any:
    """A pattern, ready to search with. Raises ValueError with what is wrong with it."""
    try:
        return regex.compile(pattern)
    except regex.error as error:
        raise ValueError(str(error)) from error
    except RecursionError as error:
        raise ValueError(_("it is nested too deeply")) from error


def found(pattern: str, text: str, what: str = _OF_VALUE) -> bool:
    """Whether a pattern occurs in a text. Raises TooLongError, about `what`, where that takes too long to tell."""
    _tick()
    if len(text) > LONGEST_TEXT:
        raise TooLongError(
            _(
                "{pattern} is tried on {most} characters at the most, but {number} came: take it out of the "
                "offer's schema."
            ).format(pattern=_(what), most=f"{LONGEST_TEXT:,}", number=f"{len(text):,}")
        )
    try:
        # Not concurrent: the engine counts the processor time of all threads together.
        return compiled(pattern).search(text, timeout=MATCH_SECONDS, concurrent=False) is not None
    except TimeoutError as error:
        slow = _("{pattern} took longer than 50 ms: simplify it in the offer's schema.")
        raise SlowPatternError(slow.format(pattern=_(what))) from error


def _tick() -> None:
    if _now() > _deadline.get():
        raise TooLongError(
            _(
                "Checking this request against the offer's schema took too long: simplify the schema in the "
                "offer."
            )
        )


# What a validator of the library does between its keywords. Everything that can multiply goes through one of these.


def _descending(descend: Callable[..., Any]) -> Callable[..., Any]:
    def step(
        self: Any, instance: Any, schema: Any, path: Any = None, *rest: Any, **named: Any
    ) -> Iterator[Any]:
        _tick()
        try:
            yield from descend(self, instance, schema, path, *rest, **named)
        except TooLongError as error:
            if path is not None:
                error.path.appendleft(path)
            raise

    return step


def _iterating(iter_errors: Callable[..., Any]) -> Callable[..., Any]:
    def step(self: Any, instance: Any) -> Any:
        _tick()
        return iter_errors(self, instance)

    return step


def _evolve(self: Any, **changes: Any) -> Any:
    """The validator of another part of the schema. The library's own would leave these bounds where that part
    names a `$schema`."""
    same = {
        "schema": self.schema,
        "format_checker": self.format_checker,
        "registry": self._registry,
        "_resolver": self._resolver,
    }
    return type(self)(**{**same, **changes})


# Keywords


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if validator.is_type(instance, "string") and not found(pattern, instance):
        yield ValidationError(
            _("{value} does not match the pattern {pattern}").format(value=repr(instance), pattern=pattern)
        )


def _pattern_properties(
    validator: Any, patterns: Any, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    if not validator.is_type(instance, "object"):
        return
    for pattern, part in patterns.items():
        for name, value in instance.items():
            if found(pattern, name, _OF_NAMES):
                yield from validator.descend(value, part, path=name, schema_path=pattern)


def _additional_properties(
    validator: Any, rest: Any, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    if rest is True or not validator.is_type(instance, "object"):
        return
    named, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    extras = [
        name
        for name in instance
        if name not in named and not any(found(pattern, name, _OF_NAMES) for pattern in patterns)
    ]
    if rest is not False:
        for name in extras:
            yield from validator.descend(instance[name], rest, path=name)
    elif extras:
        names = ", ".join(map(repr, sorted(extras)))
        yield ValidationError(_("The schema allows no other names here: {names}").format(names=names))


def _unique_items(validator: Any, wanted: bool, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not wanted or not validator.is_type(instance, "array"):
        return
    seen = set()
    for item in instance:
        _tick()  # also between items: whoever chooses the values chooses how often their hashes collide
        key = _hashable(item)
        if key in seen:
            yield ValidationError(_("{value} has non-unique elements").format(value=repr(instance)))
            return
        seen.add(key)


def _hashable(value: Any) -> Any:
    """Something that equals another exactly where the two values are equal in JSON."""
    if isinstance(value, dict):
        return frozenset((key, _hashable(item)) for key, item in value.items())
    if isinstance(value, list):
        return tuple(map(_hashable, value))
    # In Python True equals 1.
    return (bool, value) if isinstance(value, bool) else value


def _unsupported(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    raise TooLongError(_("The offer's schema uses unevaluatedItems or unevaluatedProperties: take them out."))
