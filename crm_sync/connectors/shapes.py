"""Answers in JSON, of which nothing is taken to be of the right type."""

from typing import Any


def items(value: object) -> list[Any]:
    """What is in a list; nothing where it is none."""
    return value if isinstance(value, list) else []


def objects(value: object) -> list[dict[str, Any]]:
    """The objects in a list, whatever else there is; none where it is no list."""
    return [each for each in items(value) if isinstance(each, dict)]


def object_in(value: object, *path: str) -> dict[str, Any]:
    """The object at the end of a path of objects; an empty one where there is none."""
    found = part(value, *path)
    return found if isinstance(found, dict) else {}


def part(value: object, *path: str) -> Any:
    """What lies at the end of a path of objects; None where nothing does."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value
