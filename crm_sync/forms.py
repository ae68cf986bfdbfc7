"""The forms of a CRM connection, of a route, and of the demo CRM's switch."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.contrib.admin.widgets import AdminIntegerFieldWidget, AdminTextInputWidget
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from crm_sync import connectors
from crm_sync.models import DemoSwitch, Destination, DestinationState, Route
from crm_sync.policy import policy
from crm_sync.spec import Setting, Spec
from leads.lead_source import ACTIONS, canonical_action
from leads.vault import ClosedDict

# --- CRM connections -----------------------------------------------------------------------------------------


LIMITS = ("max_in_flight", "max_per_second", "max_per_day", "keep_tries_days")


class BaseDestinationForm(forms.ModelForm):
    """A connection's name and limits, and the settings that its connector declares.

    A new one starts with the limits of its kind.
    """

    spec: Spec

    # Not by the model's own field: that one connection has it already is no mistake, it moves.
    for_new_offers = forms.BooleanField(
        label=_("New offers send to this"),
        required=False,
        help_text=_(
            "An offer that is added is connected to it. Its leads wait until its field mapping is published."
        ),
    )

    class Meta:
        model = Destination
        fields = ("name", "credentials_expire_on", *LIMITS)
        widgets = {
            "name": AdminTextInputWidget,
            # The browser's own picker: it needs no script, and every locale's dates arrive in one form.
            "credentials_expire_on": forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
            **dict.fromkeys(LIMITS, AdminIntegerFieldWidget),
        }
        labels = {
            "max_in_flight": _("Pushes at once"),
            "max_per_second": _("Pushes a second"),
            "max_per_day": _("Pushes a day"),
            "keep_tries_days": _("Keep requests and answers for (days)"),
            "credentials_expire_on": _("Credentials expire on"),
        }
        help_texts = {
            "credentials_expire_on": _("Type the date, and you are reminded 30, 7 and 1 days before."),
            "keep_tries_days": _(
                "So long after a lead is settled what was sent and answered is removed. 0: never."
            ),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.instance.connector = self.spec.slug
        if self.instance.pk is None:
            self.initial.update(
                {name: getattr(self.spec, name) for name in LIMITS if hasattr(self.spec, name)}
            )
        elif DestinationState.objects.filter(
            pk=self.instance.pk, credentials_expire_on__isnull=False
        ).exists():
            del self.fields["credentials_expire_on"]  # the CRM tells it, and knows better
        self.initial["for_new_offers"] = self.instance.for_new_offers
        stored = self.instance.settings
        for setting in self.spec.settings:
            field = self.fields[setting_input(setting)]
            if setting.secret:
                self._explain_secret(setting, field)
            elif setting.name in stored:
                value = stored[setting.name]
                self.initial[setting_input(setting)] = value == "true" if setting.kind == "flag" else value

    def _explain_secret(self, setting: Setting, field: forms.Field) -> None:
        """A stored secret is never shown again; an empty box keeps it."""
        if isinstance(self.instance.secrets, ClosedDict):
            field.help_text = _("No key of FIELD_ENCRYPTION_KEYS opens what is stored. Enter it again.")
        if setting.name in stored_secrets(self.instance):
            field.required = False
            field.help_text = _("Set; leave empty to keep.")
        else:
            self.fields.pop(clear_input(setting), None)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if self._is_elsewhere(data):
            self._ask_for_secrets(data)
        self.values = {
            setting.name: value for setting in self.spec.settings if (value := self._value(setting, data))
        }
        for name, sentence in self._problems().items():
            setting = self.spec.setting(name)
            where = setting_input(setting) if setting else None
            if where not in self.errors:
                self.add_error(where, sentence)
        return data

    def _is_elsewhere(self, data: Mapping[str, Any]) -> bool:
        """Whether an address becomes that of another server, be it instead of what an empty box stands for.

        One that is a secret does not count: it is its own credential, and no other secret is sent there.
        """
        before = self.instance.settings
        return any(
            _server(before.get(setting.name) or setting.default)
            != _server(data.get(setting_input(setting)) or setting.default)
            for setting in self.spec.settings
            if setting.kind == "url" and not setting.secret
        )

    def _ask_for_secrets(self, data: Mapping[str, Any]) -> None:
        """A stored secret stays where it was entered for: else whoever may change the address could read it there."""
        stored = stored_secrets(self.instance)
        for setting in self.spec.settings:
            box = setting_input(setting)
            kept = setting.name in stored and not data.get(box) and not data.get(clear_input(setting))
            if kept and box not in self.errors:
                self.add_error(box, _("The address is that of another server now: enter this again."))

    def _value(self, setting: Setting, data: Mapping[str, Any]) -> str:
        value = data.get(setting_input(setting))
        if setting.kind == "flag":
            return "true" if value else "false"
        if setting.secret and not value and not data.get(clear_input(setting)):
            return stored_secrets(self.instance).get(setting.name, "")
        return value or ""

    def _problems(self) -> dict[str, str]:
        found = connectors.validate_settings(self.spec, self.values, policy())
        return found or connectors.get(self.spec.slug).clean(self.values)

    def save(self, commit: bool = True) -> Any:
        before = self.instance.secrets, self.instance.credentials_changed_at
        self.settings_changed = self.instance.store_settings(self.values)
        self.instance.for_new_offers = self.cleaned_data["for_new_offers"]
        if isinstance(before[0], ClosedDict) and not self.instance.secrets:
            # None was entered: kept as it is, for the day on which its key is put back.
            self.instance.secrets, self.instance.credentials_changed_at = before
        return super().save(commit)


def _server(url: str) -> tuple[str, str]:
    """Scheme and host of an address; its own text where it is none."""
    try:
        parts = urlsplit(url.strip().lower())
    except ValueError:
        return "", url
    return parts.scheme, parts.netloc


def stored_secrets(destination: Destination) -> Mapping[str, str]:
    """The secrets by name; none where no key opens them."""
    return {} if isinstance(destination.secrets, ClosedDict) else destination.secrets


def setting_input(setting: Setting) -> str:
    return f"setting_{setting.name}"


def clear_input(setting: Setting) -> str:
    return f"clear_{setting.name}"


def destination_form(spec: Spec) -> type[BaseDestinationForm]:
    """The form that a connector's declaration makes."""
    fields: dict[str, Any] = {"spec": spec}
    for setting in spec.settings:
        fields[setting_input(setting)] = _setting_field(setting)
        if setting.secret and not setting.required:
            fields[clear_input(setting)] = forms.BooleanField(
                label=_("Remove: %(secret)s") % {"secret": setting.label}, required=False
            )
    return type("DestinationForm", (BaseDestinationForm,), fields)


def _setting_field(setting: Setting) -> forms.Field:
    common: dict[str, Any] = {
        "label": setting.label,
        "help_text": setting.help,
        "required": setting.required and not setting.default,
    }
    if setting.kind == "flag":
        return forms.BooleanField(**common | {"required": False}, initial=setting.default == "true")
    if setting.kind == "choice":
        return forms.ChoiceField(**common, choices=setting.choices, initial=setting.default)
    if setting.secret:
        hidden = {"autocomplete": "new-password", "class": "vTextField"}
        lines = {"autocomplete": "off", "spellcheck": "false", "rows": 6, "class": "vLargeTextField"}
        box = forms.Textarea(attrs=lines) if setting.lines else forms.PasswordInput(attrs=hidden)
        return forms.CharField(**common, widget=box)
    # Of type "text" for addresses too: the sentence that refuses one is ours, not the browser's.
    attributes = {"inputmode": "url", "spellcheck": "false"} if setting.kind == "url" else {}
    return forms.CharField(**common, initial=setting.default, widget=AdminTextInputWidget(attrs=attributes))


# --- Routes --------------------------------------------------------------------------------------------------


class RouteForm(forms.ModelForm):
    """Which leads a route takes."""

    actions = forms.MultipleChoiceField(
        label=_("Only these actions"),
        required=False,
        choices=lambda: [(code, f"{gettext(action.label)} ({code})") for code, action in ACTIONS.items()],
        widget=forms.CheckboxSelectMultiple,
        help_text=_("None ticked: leads of every action."),
    )
    other_actions = forms.CharField(
        label=_("Other action codes"),
        required=False,
        widget=AdminTextInputWidget,
        help_text=_("Codes that Microsoft may add, separated by commas."),
    )

    class Meta:
        model = Route
        fields: tuple[str, ...] = ("enabled", "needs_approval")
        labels = {"enabled": _("On"), "needs_approval": _("Ask before each lead")}
        help_texts = {"enabled": _("While this is off, leads of the offer are not sent here.")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        codes = [canonical_action(code) for code in self.instance.only_actions]
        self.initial["actions"] = [code for code in codes if code in ACTIONS]
        self.initial["other_actions"] = ", ".join(code for code in codes if code not in ACTIONS)

    def clean_other_actions(self) -> list[str]:
        codes = [canonical_action(code) for code in self.cleaned_data["other_actions"].split(",")]
        if any(len(code) > 100 for code in codes):
            raise forms.ValidationError(_("An action code is one short word."))
        return list(dict.fromkeys(code for code in codes if code))

    def save(self, commit: bool = True) -> Any:
        chosen = [*self.cleaned_data["actions"], *self.cleaned_data["other_actions"]]
        self.instance.only_actions = list(dict.fromkeys(chosen))
        return super().save(commit)


class NewRouteForm(RouteForm):
    """A new route also says from where to where; afterwards that stays, for what was sent hangs on it."""

    class Meta(RouteForm.Meta):
        fields = ("offer", "destination", *RouteForm.Meta.fields)


# --- The demo CRM --------------------------------------------------------------------------------------------


class SwitchForm(forms.ModelForm):
    """How the demo CRM behaves."""

    class Meta:
        model = DemoSwitch
        fields = ("mode", "field")
        widgets = {"mode": forms.RadioSelect, "field": forms.Select}
        labels = {"mode": _("The demo CRM"), "field": _("Field to refuse")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        widget: Any = self.fields["field"].widget
        widget.choices = [(each.name, each.label) for each in connectors.get("demo").spec.in_words().fields]
