"""What colleagues are called on screen, wherever they appear."""

from typing import Any


def name_of(person: Any, nobody: object = "") -> str:
    """First and last name, else the user name; `nobody` where there is no person. `person`: a user of Django's."""
    return (person.get_full_name() or person.get_username()) if person else str(nobody)
