"""What staff enter of a connection, held against what its kind of CRM declares."""

from collections.abc import Mapping

from crm_sync.addresses import Policy, address_problem
from crm_sync.spec import Setting, Spec
from leads.texts import gettext as _


def validate_settings(spec: Spec, settings: Mapping[str, str], policy: Policy) -> dict[str, str]:
    """What is wrong with a destination's settings: a sentence by setting name; empty where all is well.

    `policy` says which addresses are allowed.
    """
    problems = {name: _("There is no such setting.") for name in settings if spec.setting(name) is None}
    for setting in spec.settings:
        if problem := _setting_problem(setting, settings.get(setting.name, ""), policy):
            problems[setting.name] = problem
    return problems


def _setting_problem(setting: Setting, value: str, policy: Policy) -> str:
    value = value or setting.default
    if not value.strip():
        return _("{label} is required.").format(label=setting.label) if setting.required else ""
    if setting.kind == "url":
        return address_problem(value, policy)
    choices = ("true", "false") if setting.kind == "flag" else tuple(name for name, _ in setting.choices)
    if setting.kind in ("choice", "flag") and value not in choices:
        return _("{label} must be one of {choices}.").format(label=setting.label, choices=", ".join(choices))
    return ""
