"""Pure: texts for readers, said by modules that know no Django.

Such a module says `from leads.texts import gettext as _` and marks its texts as any other does; `make messages` finds
them. Until a translator is plugged in, every text stays as it is written. What is stored, a reason or an error, was
said by a worker or by intake, and is in the language of the installation (LANGUAGE_CODE).
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class Translator:
    """How texts are translated, as gettext and ngettext do, and the code of the language, such as "pt-br"."""

    one: Callable[[str], str] = lambda message: message
    count: Callable[[str, str, int], str] = lambda one, many, number: one if number == 1 else many
    language: Callable[[], str | None] = lambda: None


translator = Translator()


def gettext(message: str) -> str:
    """A text in the language of who reads it."""
    return translator.one(message)


def ngettext(one: str, many: str, number: int) -> str:
    """A text that goes by a number, in the language of who reads it."""
    return translator.count(one, many, number)


def language() -> str:
    """The code of the language of who reads it, for what others translate: the names of countries."""
    return translator.language() or "en"


def gettext_noop(message: str) -> str:
    """Mark a text that is translated where it is shown: a label of a module, or one that is data as well."""
    return message
