"""What a connector declares of itself, once: form, validation, suggested mapping and docs come from it."""

from dataclasses import dataclass
from typing import Literal

SettingKind = Literal["text", "secret", "url", "choice", "flag"]
FieldType = Literal["text", "email", "phone", "url", "number", "flag", "choice", "date", "any"]


@dataclass(frozen=True, slots=True)
class Setting:
    """One line of a destination's form. `choices` are (value, label) pairs; a `secret` is encrypted and masked."""

    name: str
    label: str
    kind: SettingKind = "text"
    help: str = ""
    required: bool = True
    default: str = ""
    choices: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class TargetField:
    """One field of the CRM's record. `max_length` in characters, 0: no limit known.

    `suggested` is the rule of the suggested mapping as in a configuration file, without `target`
    (`{"kind": "field", "source": "email"}`); None: the field is not part of it.
    """

    name: str
    label: str
    type: FieldType = "text"
    required: bool = False
    max_length: int = 0
    choices: tuple[tuple[str, str], ...] = ()
    suggested: dict[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Spec:
    """A kind of CRM.

    `idempotent_by` says in one sentence how a repeated push finds the first record; empty: it cannot, and an
    uncertain try is held for a person. `batch_size` > 1: `push_many` sends that many in one call.
    `any_field`: the target takes fields that `fields` does not list. `every_value`: the suggested mapping sends
    every lead value there is, under its own name.
    """

    slug: str
    label: str
    settings: tuple[Setting, ...]
    fields: tuple[TargetField, ...]
    idempotent_by: str = ""
    batch_size: int = 1
    any_field: bool = False
    every_value: bool = False

    def setting(self, name: str) -> Setting | None:
        """The declared setting of that name, or None."""
        return next((setting for setting in self.settings if setting.name == name), None)

    @property
    def secret_names(self) -> frozenset[str]:
        """Names of the settings that are kept encrypted and shown masked."""
        return frozenset(setting.name for setting in self.settings if setting.kind == "secret")
