"""The forms of a CRM connection, of a route with its field mapping, and of the demo CRM's switch."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.contrib.admin.widgets import AdminIntegerFieldWidget, AdminTextInputWidget
from django.utils.text import slugify

from crm_sync import connectors, mapping, publishing
from crm_sync.mapping import EVERYTHING, LEAD_VALUES, TRANSFORMS, Rule, problems
from crm_sync.models import DemoSwitch, Destination, FieldRule, Route
from crm_sync.policy import policy
from crm_sync.spec import Setting, Spec
from leads.lead_source import ACTIONS, canonical_action
from leads.models import Lead, Offer

# --- CRM connections -----------------------------------------------------------------------------------------


class BaseDestinationForm(forms.ModelForm):
    """A connection's name and limits, and the settings that its connector declares."""

    spec: Spec

    class Meta:
        model = Destination
        fields = ("name", "max_in_flight")
        widgets = {"name": AdminTextInputWidget, "max_in_flight": AdminIntegerFieldWidget}
        labels = {"max_in_flight": "Pushes at once"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.instance.connector = self.spec.slug
        stored = self.instance.settings
        for setting in self.spec.settings:
            field = self.fields[setting_input(setting)]
            if setting.kind == "secret":
                self._explain_secret(setting, field)
            elif setting.name in stored:
                value = stored[setting.name]
                self.initial[setting_input(setting)] = value == "true" if setting.kind == "flag" else value

    def _explain_secret(self, setting: Setting, field: forms.Field) -> None:
        """A stored secret is never shown again; an empty box keeps it."""
        if setting.name in self.instance.secrets:
            field.required = False
            field.help_text = "Set; leave empty to keep."
        else:
            self.fields.pop(clear_input(setting), None)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        self.values = {
            setting.name: value for setting in self.spec.settings if (value := self._value(setting, data))
        }
        for name, sentence in self._problems().items():
            setting = self.spec.setting(name)
            where = setting_input(setting) if setting else None
            if where not in self.errors:
                self.add_error(where, sentence)
        return data

    def _value(self, setting: Setting, data: Mapping[str, Any]) -> str:
        value = data.get(setting_input(setting))
        if setting.kind == "flag":
            return "true" if value else "false"
        if setting.kind == "secret" and not value and not data.get(clear_input(setting)):
            return self.instance.secrets.get(setting.name, "")
        return value or ""

    def _problems(self) -> dict[str, str]:
        found = connectors.validate_settings(self.spec, self.values, policy())
        return found or connectors.get(self.spec.slug).clean(self.values)

    def save(self, commit: bool = True) -> Any:
        self.instance.store_settings(self.values)
        return super().save(commit)


def setting_input(setting: Setting) -> str:
    return f"setting_{setting.name}"


def clear_input(setting: Setting) -> str:
    return f"clear_{setting.name}"


def destination_form(spec: Spec) -> type[BaseDestinationForm]:
    """The form that a connector's declaration makes."""
    fields: dict[str, Any] = {"spec": spec}
    for setting in spec.settings:
        fields[setting_input(setting)] = _setting_field(setting)
        if setting.kind == "secret" and not setting.required:
            fields[clear_input(setting)] = forms.BooleanField(
                label=f"Remove the {setting.label.lower()}", required=False
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
    if setting.kind == "secret":
        box = forms.PasswordInput(attrs={"autocomplete": "new-password", "class": "vTextField"})
        return forms.CharField(**common, widget=box)
    # Of type "text" for addresses too: the sentence that refuses one is ours, not the browser's.
    attributes = {"inputmode": "url", "spellcheck": "false"} if setting.kind == "url" else {}
    return forms.CharField(**common, initial=setting.default, widget=AdminTextInputWidget(attrs=attributes))


# --- Routes --------------------------------------------------------------------------------------------------


class RouteForm(forms.ModelForm):
    """Which leads a route takes."""

    actions = forms.MultipleChoiceField(
        label="Only these actions",
        required=False,
        choices=[(code, f"{action.label} ({code})") for code, action in ACTIONS.items()],
        widget=forms.CheckboxSelectMultiple,
        help_text="None ticked: leads of every action.",
    )
    other_actions = forms.CharField(
        label="Other action codes",
        required=False,
        widget=AdminTextInputWidget,
        help_text="Codes that Microsoft may add, separated by commas.",
    )

    class Meta:
        model = Route
        fields: tuple[str, ...] = ("enabled", "needs_approval")
        labels = {"enabled": "On", "needs_approval": "Ask before each lead"}
        help_texts = {"enabled": "While this is off, leads of the offer are not sent here."}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        codes = [canonical_action(code) for code in self.instance.only_actions]
        self.initial["actions"] = [code for code in codes if code in ACTIONS]
        self.initial["other_actions"] = ", ".join(code for code in codes if code not in ACTIONS)

    def clean_other_actions(self) -> list[str]:
        codes = [canonical_action(code) for code in self.cleaned_data["other_actions"].split(",")]
        if any(len(code) > 100 for code in codes):
            raise forms.ValidationError("An action code is one short word.")
        return list(dict.fromkeys(code for code in codes if code))

    def save(self, commit: bool = True) -> Any:
        chosen = [*self.cleaned_data["actions"], *self.cleaned_data["other_actions"]]
        self.instance.only_actions = list(dict.fromkeys(chosen))
        return super().save(commit)


class NewRouteForm(RouteForm):
    """A new route also says from where to where; afterwards that stays, for what was sent hangs on it."""

    class Meta(RouteForm.Meta):
        fields = ("offer", "destination", *RouteForm.Meta.fields)


# --- The rows of a field mapping -----------------------------------------------------------------------------


class LinesField(forms.CharField):
    """Pairs as lines, "key = value"; as JSON where lines cannot say it."""

    example = "US = United States"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, strip=False, widget=_textarea(2), **kwargs)

    def write(self, value: Any) -> str:
        return str(value)

    def read(self, text: str) -> Any:
        return text

    def prepare_value(self, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        text = "\n".join(f"{key} = {self.write(entry)}" for key, entry in value.items())
        return text if self._parsed(text) == value else json.dumps(value, ensure_ascii=False)

    def to_python(self, value: Any) -> Any:
        return self._parsed(super().to_python(value) or "")

    def has_changed(self, initial: Any, data: Any) -> bool:
        return (self.prepare_value(initial) or "").split() != (data or "").split()

    def _parsed(self, text: str) -> dict[str, Any]:
        if text.lstrip().startswith("{"):
            return self._from_json(text)
        pairs = {}
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip():
                continue
            key, sign, value = line.partition(" = " if " = " in line else "=")
            if not sign or not key.strip():
                raise forms.ValidationError(f"Line {number} is not of the form “{self.example}”.")
            pairs[key.strip()] = self.read(value.strip())
        return pairs

    def _from_json(self, text: str) -> dict[str, Any]:
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise forms.ValidationError(f"This begins with {{ but is not JSON: {error}.") from error


class TableField(LinesField):
    """The value list of a row."""

    def _from_json(self, text: str) -> dict[str, Any]:
        table = super()._from_json(text)
        if not all(isinstance(value, str) for value in table.values()):
            raise forms.ValidationError('Each value must be text, like {"US": "United States"}.')
        return table


class ConditionsField(LinesField):
    """When a row applies: the lead value, and the texts of which it must be one."""

    example = "action = PLT, INS"

    def write(self, value: Any) -> str:
        return ", ".join(value)

    def read(self, text: str) -> list[str]:
        return [part for piece in text.split(",") if (part := piece.strip())]

    def _from_json(self, text: str) -> dict[str, Any]:
        when = super()._from_json(text)
        if not all(
            isinstance(texts, list) and all(isinstance(t, str) for t in texts) for texts in when.values()
        ):
            raise forms.ValidationError('Each value must be a list of texts, like {"action": ["PLT"]}.')
        return when


def _textarea(rows: int) -> forms.Textarea:
    return forms.Textarea(attrs={"rows": rows, "cols": 20, "spellcheck": "false"})


class PlainTextField(forms.CharField):
    """Text exactly as typed; browsers send line ends as CR LF, rules have LF."""

    def __init__(self, rows: int = 1, **kwargs: Any) -> None:
        super().__init__(required=False, strip=False, widget=_textarea(rows), **kwargs)

    def to_python(self, value: Any) -> Any:
        return (super().to_python(value) or "").replace("\r\n", "\n").replace("\r", "\n")


class RuleForm(forms.Form):
    """One row. What a kind does not use is cleared, so that a change of kind needs no tidying up."""

    target = forms.CharField(label="CRM field", required=False, max_length=200)
    kind = forms.CharField(label="How", initial="field", widget=forms.Select)
    source = forms.CharField(label="Lead field", required=False, max_length=200, widget=forms.Select)
    value = PlainTextField(label="Fixed value")
    template = PlainTextField(label="Text, with fields like {{ full_name }}", rows=2)
    table = TableField(label="Value list, one “US = United States” a line")
    transform = forms.CharField(label="Transform", required=False, widget=forms.Select)
    fallback = PlainTextField(label="If empty, send")
    when = ConditionsField(label="Only when, like “action = PLT, INS”")
    keep_empty = forms.BooleanField(label="Send even when empty", required=False)

    rule: Rule | None = None

    def __init__(self, *args: Any, spec: Spec, sources: Sequence[tuple[str, Any]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.label_suffix = ""
        self.spec = spec
        self._offer("kind", list(FieldRule._meta.get_field("kind").flatchoices))
        transforms = [(slug, transform.label) for slug, transform in TRANSFORMS.items()]
        self._offer("transform", [("", "As it is"), *transforms])
        self._offer("source", [("", "Choose"), *sources])
        if self.spec.any_field:
            self.fields["target"].widget = forms.TextInput(
                attrs={"list": "crm-fields", "spellcheck": "false"}
            )
        else:
            self.fields["target"].widget = forms.Select()
            self._offer("target", [("", "Choose"), *target_choices(spec)])

    def _offer(self, name: str, choices: list[tuple[str, Any]]) -> None:
        """Offer choices, with what is chosen now among them even where it no longer exists."""
        current = self[name].value() or ""
        known = {value for choice in choices for value in _values(choice)}
        if current and current not in known:
            choices = [*choices, (current, f"{current} (not known)")]
        widget = self.fields[name].widget
        if isinstance(widget, forms.Select):
            widget.choices = choices

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if self.errors or data.get("DELETE"):
            return data
        self.rule = _rule_of(data)
        for problem in problems(self.rule, self.spec.fields, self.spec.any_field):
            self.add_error(*self._place(problem))
        return data

    @property
    def anchor(self) -> str:
        return anchor(str(self["target"].value() or ""))

    @property
    def has_more(self) -> bool:
        """Whether the rarer inputs hold anything, so that they are shown at once."""
        return any(self[name].value() or self[name].errors for name in ("fallback", "when", "keep_empty"))

    def _place(self, problem: mapping.RuleError) -> tuple[str, str]:
        """The input that a problem is about, and its sentence."""
        name = problem.path.split(".", 1)[0]
        if name == "table" and self.rule and not self.rule.table:
            return name, f"Add at least one line, like “{TableField.example}”."
        return name, problem.message


def anchor(field: str) -> str:
    """The id of the row of a CRM field on a route's page."""
    return f"field-{slugify(field, allow_unicode=True) or 'other'}"


def _values(choice: tuple[str, Any]) -> list[str]:
    value, label = choice
    return [inner for inner, _ in label] if isinstance(label, list | tuple) else [value]


def _rule_of(data: Mapping[str, Any]) -> Rule:
    kind = data["kind"]
    used = mapping.SETTINGS.get(kind, frozenset())
    target = data["target"]
    if kind == "field" and data["source"] == EVERYTHING:
        used, target = frozenset({"source"}), EVERYTHING
    values = {name: data[name] for name in used}
    when = {name: tuple(texts) for name, texts in data["when"].items()}
    return Rule(target=target, kind=kind, when=when, **values)


def target_choices(spec: Spec) -> list[tuple[str, str]]:
    """The CRM's fields for a select, required ones marked."""
    return [
        (target.name, f"{target.label}{' (required)' if target.required else ''}") for target in spec.fields
    ]


def source_choices(offer: Offer, spec: Spec) -> list[tuple[str, Any]]:
    """The lead values for a select: those that every lead has, then the keys that recent ones brought."""
    choices: list[tuple[str, Any]] = [("Lead", [*LEAD_VALUES.items()])]
    if spec.every_value:
        choices.append(("All", [(EVERYTHING, "Every lead value, under its own name")]))
    recent: list[Any] = list(
        Lead.objects.filter(offer=offer).order_by("-received_at").values("campaign", "extra")[:200]
    )
    for name, title in (("campaign", "Campaign"), ("extra", "Fields we do not know")):
        keys = sorted({key for lead in recent for key in lead[name]})
        if keys:
            choices.append((title, [(f"{name}.{key}", f"{name}.{key}") for key in keys[:100]]))
    return choices


def editable_rules(route: Route) -> tuple[Rule, ...]:
    """The rows that editing starts from: the draft's, else those that are live."""
    version = route.draft or route.live_mapping
    return version.as_rules() if version else ()


class RuleFormSet(forms.BaseFormSet):
    """The rows of a route's mapping. Saving replaces the rows of the draft; nothing that is live changes.

    Takes the arguments of a model's inline formset, so that the admin can handle it like one.
    """

    spec: Spec
    prefilled: Rule | None = None

    def __init__(
        self,
        data: Any = None,
        files: Any = None,
        *,
        instance: Route,
        queryset: Any = None,
        save_as_new: bool = False,
        **kwargs: Any,
    ) -> None:
        self.route, self.before = instance, editable_rules(instance)
        self.new_objects: list[Any] = []
        self.changed_objects: list[Any] = []
        self.deleted_objects: list[Any] = []
        self.spec = spec = instance.destination.spec
        super().__init__(
            data,
            files,
            initial=[_initial(rule) for rule in self.before],
            form_kwargs={"spec": spec, "sources": source_choices(instance.offer, spec)},
            **kwargs,
        )
        if self.prefilled and not self.is_bound:
            self.forms[-self.extra] = self._prefilled_form(self.prefilled)

    def _prefilled_form(self, rule: Rule) -> forms.Form:
        index = len(self.before)
        make: Any = self._construct_form  # type: ignore[attr-defined] # absent from the stubs
        return make(index, initial=_initial(rule), **self.get_form_kwargs(index))

    @property
    def suggestions(self) -> list[tuple[str, str]]:
        """Names to type for a CRM that takes any field; those of the lead values, for want of its own."""
        return [*target_choices(self.spec), *LEAD_VALUES.items()] if self.spec.any_field else []

    @property
    def seen(self) -> str:
        """A mark of the rows that the page was made from, so that two editors cannot overwrite each other."""
        return self.data.get(f"{self.prefix}-SEEN", "") if self.is_bound else digest(self.before)

    def add_fields(self, form: Any, index: int | None) -> None:
        super().add_fields(form, index)
        form.fields["ORDER"].widget.attrs["class"] = "order"
        form.fields["ORDER"].label = "Row"
        form.fields["DELETE"].label = "Remove"

    def clean(self) -> None:
        if self.seen != digest(self.before):
            raise forms.ValidationError(
                "Somebody else changed this draft in the meantime. Open the page again, then make your change."
            )

    def get_queryset(self) -> list[Any]:
        """No objects for the admin to show beside the rows."""
        return []

    def rules(self) -> tuple[Rule, ...]:
        """The rows in their order, once they are valid."""
        return tuple(form.rule for form in self.ordered_forms if form.rule)

    def save(self, commit: bool = True, user: Any = None) -> list[Any]:
        rules = self.rules()
        if rules != self.before:
            draft = publishing.draft_of(self.route, user)
            draft.replace_rules(rules)
            self.changed_objects = [(draft, ["rows"])]
        return []


def digest(rules: Sequence[Rule]) -> str:
    text = json.dumps([rule.as_config() for rule in rules])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _initial(rule: Rule) -> dict[str, Any]:
    names = (*RuleForm.base_fields,)
    initial = {name: getattr(rule, name) for name in names}
    initial["when"] = {name: list(texts) for name, texts in rule.when.items()}
    initial["table"] = dict(rule.table)
    return initial


EXTRA_ROWS = 2


def rule_formset(prefilled: Rule | None = None) -> type[RuleFormSet]:
    """The formset class of one request."""
    made: Any = forms.formset_factory(
        RuleForm,
        formset=RuleFormSet,
        extra=EXTRA_ROWS,
        can_order=True,
        can_delete=True,
        max_num=300,
        absolute_max=400,
    )
    made.prefilled = prefilled
    return made


# --- The demo CRM --------------------------------------------------------------------------------------------


class SwitchForm(forms.ModelForm):
    """How the demo CRM behaves."""

    class Meta:
        model = DemoSwitch
        fields = ("mode", "field")
        widgets = {"mode": forms.RadioSelect, "field": forms.Select}
        labels = {"mode": "The demo CRM", "field": "Field to refuse"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        widget: Any = self.fields["field"].widget
        widget.choices = target_choices(connectors.get("demo").spec)
