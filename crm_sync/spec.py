"""What a connector declares of itself, once: form, validation, suggested mapping and docs come from it.

Texts are marked where they are declared, and translated by `in_words` where they are shown.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from leads.texts import gettext as _
from leads.texts import gettext_noop

SettingKind = Literal["text", "secret", "url", "choice", "flag"]
FieldType = Literal["text", "email", "phone", "url", "number", "flag", "choice", "date", "reference", "any"]
LengthUnit = Literal["characters", "utf-16"]


@dataclass(frozen=True, slots=True)
class Setting:
    """One line of a destination's form. `choices` are (value, label) pairs.

    What is `secret`, by its kind or because it says so (an address that is a credential), is encrypted and masked.
    `lines`: it may have several, as a private key has.
    """

    name: str
    label: str
    kind: SettingKind = "text"
    help: str = ""
    required: bool = True
    default: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    secret: bool = False
    lines: bool = False

    def __post_init__(self) -> None:
        if self.kind == "secret":
            object.__setattr__(self, "secret", True)

    def in_words(self) -> "Setting":
        """The same for reading, in the language of who reads it."""
        choices = tuple((value, _(label)) for value, label in self.choices)
        return replace(self, label=_(self.label), help=_(self.help), choices=choices)


# A setting of every kind of CRM that knows persons.
DUPLICATES = Setting(
    "duplicates",
    gettext_noop("When the CRM already has this person"),
    kind="choice",
    help=gettext_noop("A repeated push of the same lead is no duplicate: it is always recognised."),
    required=False,
    default="ask",
    choices=(
        ("ask", gettext_noop("Ask: hold the lead until somebody decides")),
        ("create", gettext_noop("Write the lead all the same")),
        ("skip", gettext_noop("Skip: keep what the CRM has, and write nothing")),
    ),
)


_TYPES: Mapping[FieldType, str] = MappingProxyType(
    {
        "text": gettext_noop("text"),
        "email": gettext_noop("e-mail address"),
        "phone": gettext_noop("phone number"),
        "url": gettext_noop("web address"),
        "number": gettext_noop("number"),
        "flag": gettext_noop("yes or no"),
        "choice": gettext_noop("choice"),
        "date": gettext_noop("date"),
        "reference": gettext_noop("another record"),
        "any": gettext_noop("any value"),
    }
)


@dataclass(frozen=True, slots=True)
class TargetField:
    """One field of the CRM's record. `max_length` in the unit of its Spec, 0: no limit known.

    A `reference` points to another record of the CRM and is given by that record's name, or by its id.

    `suggested` is the rule of the suggested mapping as in a configuration file, without `target`
    (`{"kind": "field", "source": "email"}`); None: the field is not part of it. `always`: that rule also holds where a
    mapping says nothing of the field, as of a key. `ours`: the connector made it up, and the CRM has no such field.
    """

    name: str
    label: str
    type: FieldType = "text"
    required: bool = False
    max_length: int = 0
    choices: tuple[tuple[str, str], ...] = ()
    suggested: dict[str, object] | None = None
    always: bool = False
    ours: bool = False

    @property
    def type_in_words(self) -> str:
        """What it takes, in the language of who reads it."""
        return _(_TYPES[self.type])


@dataclass(frozen=True, slots=True)
class Spec:
    """A kind of CRM.

    `idempotent_by` says in one sentence how a repeated push finds the first record; empty: it cannot, and an
    uncertain try is held for a person. `batch_size` > 1: `push_many` sends that many in one call.
    `one_per_email`: leads with one e-mail address are never pushed at the same time, because the CRM documents that
    it would make two records. `max_in_flight`, `max_per_second`, `max_per_day`: what a new connection starts with.
    `length_unit`: what the CRM counts of a text. `describes`: the CRM tells its fields.
    `any_field`: the target takes fields that `fields` does not list. `every_value`: the suggested mapping sends
    every lead value there is, under its own name.
    """

    slug: str
    label: str
    settings: tuple[Setting, ...]
    fields: tuple[TargetField, ...]
    idempotent_by: str = ""
    batch_size: int = 1
    one_per_email: bool = False
    max_in_flight: int = 10
    max_per_second: int | None = None
    max_per_day: int | None = None
    length_unit: LengthUnit = "characters"
    describes: bool = False
    any_field: bool = False
    every_value: bool = False

    def in_words(self) -> "Spec":
        """The same for reading, in the language of who reads it.

        The choices of a field stay as they are: they are the CRM's, and a rule may name one by its label.
        """
        return replace(
            self,
            label=_(self.label),
            settings=tuple(setting.in_words() for setting in self.settings),
            fields=tuple(replace(field, label=_(field.label)) for field in self.fields),
            idempotent_by=_(self.idempotent_by),
        )

    def setting(self, name: str) -> Setting | None:
        """The declared setting of that name, or None."""
        return next((setting for setting in self.settings if setting.name == name), None)

    @property
    def asked(self) -> tuple[Setting, ...]:
        """The settings that somebody must have at hand: those that nothing is assumed for."""
        return tuple(setting for setting in self.settings if not setting.default)

    @property
    def secret_names(self) -> frozenset[str]:
        """Names of the settings that are kept encrypted and shown masked."""
        return frozenset(setting.name for setting in self.settings if setting.secret)
