"""The configuration as one JSON document: `apply` makes the database agree with it, `export` writes it down.

`apply` first reads the whole document and collects everything that is wrong with it, each problem with its
path in the file; only a document without any is written, in one transaction. What it does not mention stays
as it is.
"""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from crm_sync import connectors, health, mapping, publishing, routing
from crm_sync.connectors import UnknownConnector
from crm_sync.mapping import Rule, RuleError
from crm_sync.models import Destination, DestinationState, MappingVersion, Route, effective_rules
from crm_sync.policy import policy
from crm_sync.spec import Spec
from crm_sync.transforms import nearest
from leads import ports
from leads.lead_source import ACTIONS
from leads.models import KEY_MIN_LENGTH, Endpoint, Offer, key_digest, rfc3339

FROM_ENVIRONMENT = "env:"

Row = TypeVar("Row", bound=models.Model)
Rules = list[tuple[str, Rule]]  # each with its path in the file


@dataclass(frozen=True, slots=True)
class Result:
    """`document` is what the caller asked for, as JSON has it; `notes` are sentences for the person who did."""

    document: dict[str, Any]
    notes: list[str] = field(default_factory=list)


class ConfigError(Exception):
    """The document cannot be applied, and nothing was changed. One line a problem, with its path in the file."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class Problems(list[str]):
    """Everything that is wrong, in the order in which it was found."""

    def add(self, path: str, message: str) -> None:
        line = " ".join(message.split())
        self.append(f"{path}: {line}" if path else line)


def apply(
    source: bytes | str,
    now: datetime,
    *,
    send_waiting: bool = False,
    environ: Mapping[str, str] = os.environ,
) -> Result:
    """Make the database agree with a document. Returns the endpoint URL of each of its offers, in its order.

    `send_waiting`: also send the leads that wait for its routes. Raises ConfigError, and nothing is changed.
    """
    problems = Problems()
    document = _read(source, problems)
    with transaction.atomic():
        plan = _Plan(document, now, environ, problems)
        if problems:
            raise ConfigError(problems)
        # Leads that nobody has looked at yet came before this file: the routes of before decide on them.
        routing.route_everything(now)
        notes = _write(plan, now)
        for route in plan.routes.values():
            notes += _notes_on_mapping(route)
            notes += _notes_on_actions(route)
            notes += _notes_on_waiting(route, now, send_waiting)
        offers = [_offer_url(offer, now, notes) for offer in plan.offers.values()]
        transaction.on_commit(ports.ring)
    return Result({"offers": offers}, notes or [_("Nothing to change.")])


# --- Read ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Entry:
    """One object of a document: its path in the file, and what it says, by key."""

    path: str
    values: Mapping[str, Any]

    def at(self, key: str) -> str:
        return f"{self.path}.{key}"


class Wrong(ValueError):  # noqa: N818 - named for what happened
    """A value cannot be read; the message is a sentence."""


Reader = Callable[[Any, str, Problems], Any]


def _text(value: object, *others: object) -> str:
    if not isinstance(value, str):
        raise Wrong(_("This must be text, in quotes."))
    return value


def _flag(value: object, *others: object) -> bool:
    if not isinstance(value, bool):
        raise Wrong(_("This must be true or false, without quotes."))
    return value


def _number(value: object, *others: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise Wrong(_("This must be a whole number, without quotes."))
    return value


def _limit(value: object, *others: object) -> int | None:
    return None if value is None else _number(value)


def _dnc_policy(value: object, *others: object) -> str:
    if _text(value) not in Offer.DncPolicy.values:
        raise Wrong(
            _("There is no policy “{name}”{hint}").format(
                name=value, hint=nearest(_text(value), Offer.DncPolicy.values)
            )
        )
    return _text(value)


def _worked_in(value: object, *others: object) -> str:
    if _text(value) and value not in Offer.WorkedIn.values:
        raise Wrong(_('Leads are worked on in the "crm" or "here"; "" is for not decided yet.'))
    return _text(value)


def _schema(value: object, *others: object) -> object:
    if value is not None and not isinstance(value, dict):
        raise Wrong(_("This must be a JSON schema, an object in braces, or null for Microsoft's own."))
    return value


def _endpoint_key(value: object, *others: object) -> str:
    if not re.fullmatch(rf"[A-Za-z0-9_-]{{{KEY_MIN_LENGTH},200}}", _text(value)):
        raise Wrong(
            _("A key has {number} to 200 letters, digits, dashes and underscores.").format(
                number=KEY_MIN_LENGTH
            )
        )
    return _text(value)


def _list(value: object, *others: object) -> list[Any]:
    if not isinstance(value, list):
        raise Wrong(_("This must be a list in square brackets."))
    return value


def _texts(value: object, path: str, problems: Problems) -> list[str]:
    items = _list(value)
    for index, item in enumerate(items):
        if not isinstance(item, str):
            problems.add(f"{path}[{index}]", _("This must be text, in quotes."))
    return items


def _settings(value: object, path: str, problems: Problems) -> dict[str, str]:
    if not isinstance(value, dict):
        raise Wrong(_('This must be an object of texts, like {"url": "https://example.com/leads"}.'))
    read = {}
    for name, text in value.items():
        if isinstance(text, bool):
            read[name] = json.dumps(text)
        elif isinstance(text, str):
            read[name] = text
        else:
            problems.add(
                f"{path}.{name}",
                _("This must be text in quotes, or true or false."),
            )
    return read


def _rules(value: object, path: str, problems: Problems) -> Rules:
    read = []
    for index, item in enumerate(_list(value)):
        place = f"{path}[{index}]"
        try:
            read.append((place, Rule.from_config(item, place)))
        except RuleError as error:
            problems.add(error.path, error.message)
    return read


# Keys that are copied to the row as they are; `export` writes the same ones.
_OFFER_VALUES: Mapping[str, Reader] = {
    "title": _text,
    "enabled": _flag,
    "always_acknowledge": _flag,
    "dnc_policy": _dnc_policy,
    "worked_in": _worked_in,
    "send_test_leads": _flag,
    "schema": _schema,
}
_DESTINATION_VALUES: Mapping[str, Reader] = {
    "max_in_flight": _number,
    "max_per_second": _limit,
    "max_per_day": _limit,
    "keep_tries_days": _number,
    "for_new_offers": _flag,
}
_ROUTE_VALUES: Mapping[str, Reader] = {"enabled": _flag, "only_actions": _texts, "needs_approval": _flag}

_SECTIONS: Mapping[str, tuple[Mapping[str, Reader], tuple[str, ...]]] = {
    "offers": (
        {"publisher_id": _text, "offer_id": _text, **_OFFER_VALUES, "endpoint_key": _endpoint_key},
        ("publisher_id", "offer_id"),
    ),
    "destinations": (
        {"name": _text, "connector": _text, **_DESTINATION_VALUES, "settings": _settings, "mapping": _rules},
        ("name",),
    ),
    "routes": (
        {"offer": _text, "destination": _text, **_ROUTE_VALUES, "mapping": _rules},
        ("offer", "destination"),
    ),
}


def _read(source: bytes | str, problems: Problems) -> dict[str, list[Entry]]:
    """The entries of each section. Raises ConfigError for what is no document at all."""
    data = _parse(source)
    problems.extend(_unstorable(data))
    if problems:
        raise ConfigError(problems)
    lists = _object(data, "", dict.fromkeys(_SECTIONS, _list), (), problems)
    document: dict[str, list[Entry]] = {}
    for section, (readers, required) in _SECTIONS.items():
        document[section] = []
        for index, item in enumerate(lists.get(section, [])):
            path = f"{section}[{index}]"
            document[section].append(Entry(path, _object(item, path, readers, required, problems)))
    return document


def _object(
    data: object, path: str, readers: Mapping[str, Reader], required: Sequence[str], problems: Problems
) -> dict[str, Any]:
    """What could be read of an object, by key."""
    if not isinstance(data, dict):
        problems.add(
            path, _("This must be an object in braces, with {keys}.").format(keys=", ".join(readers))
        )
        return {}
    read: dict[str, Any] = {}
    for key, value in data.items():
        place = _below(path, key)
        if key not in readers:
            problems.add(
                place, _("There is no key “{key}” here{hint}").format(key=key, hint=nearest(key, readers))
            )
            continue
        try:
            read[key] = readers[key](value, place, problems)
        except Wrong as error:
            problems.add(place, str(error))
    for key in required:
        if key not in data:
            problems.add(f"{path}.{key}", _("This is missing; add it."))
    return read


def _parse(source: bytes | str) -> object:
    try:
        return json.loads(source, object_pairs_hook=_unique, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        message = _("line {line}, column {column}: This is not JSON: {error}.").format(
            line=error.lineno, column=error.colno, error=error.msg
        )
    except (ValueError, RecursionError) as error:
        message = _("This is not JSON: {error}.").format(error=error)
    raise ConfigError([message])


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object; half of a file must not vanish because its key stands there twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _value in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(_("“{key}” stands twice in one object").format(key=twice))
    return found


def _no_constant(name: str) -> None:
    raise ValueError(_("there is no {name} in JSON").format(name=name))


def _unstorable(data: object) -> Iterator[str]:
    """Texts that no database takes. Without recursion, however deep."""
    waiting = [("", data)]
    while waiting:
        path, part = waiting.pop()
        if isinstance(part, str) and re.search("[\0\ud800-\udfff]", part):
            said = _("This holds a NUL or half of a surrogate pair, which no database stores.")
            yield f"{path}: {said}"
        elif isinstance(part, dict):
            waiting += [(_below(path, key), each) for key, value in part.items() for each in (key, value)]
        elif isinstance(part, list):
            waiting += [(f"{path}[{index}]", each) for index, each in enumerate(part)]


def _below(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


# --- Check ---------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Planned(Generic[Row]):
    """A row as the document wants it, not saved yet."""

    entry: Entry
    label: str
    row: Row
    new: bool
    changed: bool
    other_settings: bool = False  # of a stored destination

    @property
    def rules(self) -> list[Rule] | None:
        """The mapping that the document gives, None where it gives none."""
        given: Rules | None = self.entry.values.get("mapping")
        return None if given is None else [rule for _path, rule in given]


class _Plan:
    """The rows that a document is about, with its values. Whatever is wrong goes to `problems`; saves nothing."""

    def __init__(
        self,
        document: Mapping[str, list[Entry]],
        now: datetime,
        environ: Mapping[str, str],
        problems: Problems,
    ) -> None:
        self.now = now
        self.environ = environ
        self.problems = problems
        self.keys: dict[str, Entry] = {}
        self.offers: dict[str, Planned[Offer]] = {}
        self.destinations: dict[str, Planned[Destination]] = {}
        self.routes: dict[str, Planned[Route]] = {}
        # What lacks its name cannot be looked up, and was reported when it was read.
        for entry in document["offers"]:
            if {"publisher_id", "offer_id"} <= entry.values.keys():
                self._offer(entry)
        for entry in document["destinations"]:
            if "name" in entry.values:
                self._destination(entry)
        self._for_new_offers()
        for entry in document["routes"]:
            if {"offer", "destination"} <= entry.values.keys():
                self._route(entry)

    def _offer(self, entry: Entry) -> None:
        publisher_id, offer_id = entry.values["publisher_id"], entry.values["offer_id"]
        stored = Offer.objects.filter(publisher_id=publisher_id, offer_id=offer_id).first()
        row = stored or Offer(publisher_id=publisher_id, offer_id=offer_id, title=offer_id)
        if self._is_repeated(entry, row.slug, self.offers):
            return
        planned = Planned(
            entry, _("Offer {name}").format(name=row.slug), row, new=stored is None, changed=stored is None
        )
        self.offers[row.slug] = planned
        _set_values(planned, _OFFER_VALUES)
        if planned.changed:
            self._clean(planned)
        if "endpoint_key" in entry.values:
            self._endpoint_key(planned)

    def _endpoint_key(self, planned: Planned[Offer]) -> None:
        entry, key = planned.entry, planned.entry.values["endpoint_key"]
        first = self.keys.setdefault(key, entry)
        endpoint = Endpoint.objects.filter(key_digest=key_digest(key)).select_related("offer").first()
        if first is not entry:
            problem = _("The same key stands at {path}; every offer needs one of its own.").format(
                path=first.at("endpoint_key")
            )
        elif endpoint is None:
            return
        elif endpoint.offer_id != planned.row.pk:
            problem = _("This key belongs to the offer {offer} already.").format(offer=endpoint.offer.slug)
        elif not Endpoint.objects.open(self.now).filter(pk=endpoint.pk).exists():
            problem = _("The endpoint URL with this key was revoked or has expired; give a new key, or none.")
        else:
            return
        self.problems.add(entry.at("endpoint_key"), problem)

    def _destination(self, entry: Entry) -> None:
        name = entry.values["name"]
        if self._is_repeated(entry, name, self.destinations):
            return
        stored = Destination.objects.filter(name=name).first()
        row = stored or _new_destination(name, entry.values.get("connector", ""))
        planned = Planned(
            entry,
            _("CRM connection {name}").format(name=name),
            row,
            new=stored is None,
            changed=stored is None,
        )
        self.destinations[name] = planned
        _set_values(planned, _DESTINATION_VALUES)
        if entry.values.get("connector", row.connector) != row.connector:
            self.problems.add(
                entry.at("connector"),
                _(
                    "{name} is of kind {kind}, and that cannot change; add a connection of another name."
                ).format(name=name, kind=row.connector),
            )
            return
        if "connector" not in entry.values and planned.new:
            self.problems.add(
                entry.at("connector"),
                _("This is missing; there are {kinds}.").format(kinds=", ".join(sorted(connectors.REGISTRY))),
            )
        elif planned.changed:
            self._clean(planned)
        spec = _spec(row)
        if spec and (planned.new or "settings" in entry.values):
            self._settings(planned, spec)
        self._rules(entry, spec)

    def _for_new_offers(self) -> None:
        """New offers send to one connection at most: to the file's, if it names one, and to no other then."""
        named = [each for each in self.destinations.values() if each.entry.values.get("for_new_offers")]
        for planned in named[1:]:
            self.problems.add(
                planned.entry.at("for_new_offers"),
                _("New offers send to one connection only, and {path} says so already.").format(
                    path=named[0].entry.path
                ),
            )
        for planned in self.destinations.values() if named else ():
            planned.row.for_new_offers = planned is named[0]

    def _settings(self, planned: Planned[Destination], spec: Spec) -> None:
        """Put the given settings over the stored ones, secrets included, and check them together."""
        row, path = planned.row, planned.entry.at("settings")
        stored = {name: value for name, value in row.all_settings().items() if spec.setting(name)}
        given, missing = self._from_environment(planned.entry)
        values = stored | given
        found = connectors.validate_settings(spec.in_words(), values, policy()) or connectors.get(
            spec.slug
        ).clean(values)
        known = [setting.name for setting in spec.settings]
        unknown = {
            name: _("{kind} has no setting “{name}”{hint}").format(
                kind=_(spec.label), name=name, hint=nearest(name, known)
            )
            for name in planned.entry.values.get("settings", {})
            if name not in known
        }
        for name, message in {**found, **missing, **unknown}.items():
            self.problems.add(f"{path}.{name}", message)
        planned.other_settings = row.store_settings(values) and not planned.new
        planned.changed |= planned.other_settings

    def _from_environment(self, entry: Entry) -> tuple[dict[str, str], dict[str, str]]:
        """The settings with `env:NAME` read, and what is wrong with those that could not be, by name."""
        values: dict[str, str] = {}
        missing: dict[str, str] = {}
        for name, value in entry.values.get("settings", {}).items():
            variable = value.removeprefix(FROM_ENVIRONMENT)
            if variable == value:
                values[name] = value
            elif self.environ.get(variable):
                values[name] = self.environ[variable]
            else:
                # Empty counts as missing: it would wipe out the stored secret.
                missing[name] = _("The environment variable “{variable}” is not set, or empty.").format(
                    variable=variable
                )
        return values, missing

    def _route(self, entry: Entry) -> None:
        slug, name = entry.values["offer"], entry.values["destination"]
        offer, destination = self._find_offer(entry, slug), self._find_destination(entry, name)
        self._rules(entry, _spec(destination) if destination else None)
        label = f"{slug} -> {name}"
        if offer is None or destination is None or self._is_repeated(entry, label, self.routes):
            return
        both_stored = offer.pk and destination.pk
        stored = Route.objects.filter(offer=offer, destination=destination).first() if both_stored else None
        row = stored or Route()
        row.offer, row.destination = offer, destination
        self.routes[label] = Planned(entry, label, row, new=stored is None, changed=stored is None)
        _set_values(self.routes[label], _ROUTE_VALUES)

    def _find_offer(self, entry: Entry, slug: str) -> Offer | None:
        if slug in self.offers:
            return self.offers[slug].row
        publisher_id, _dot, offer_id = slug.partition(".")
        offer = Offer.objects.filter(publisher_id=publisher_id, offer_id=offer_id).first()
        if offer is None:
            known = {*self.offers, *(offer.slug for offer in Offer.objects.all())}
            self.problems.add(
                entry.at("offer"),
                _("There is no offer “{name}”{hint}").format(name=slug, hint=nearest(slug, sorted(known))),
            )
        return offer

    def _find_destination(self, entry: Entry, name: str) -> Destination | None:
        if name in self.destinations:
            return self.destinations[name].row
        destination = Destination.objects.filter(name=name).first()
        if destination is None:
            known = {*self.destinations, *Destination.objects.values_list("name", flat=True)}
            self.problems.add(
                entry.at("destination"),
                _("There is no CRM connection “{name}”{hint}").format(
                    name=name, hint=nearest(name, sorted(known))
                ),
            )
        return destination

    def _rules(self, entry: Entry, spec: Spec | None) -> None:
        """Check a mapping against the fields that the connector declares; apply talks to no CRM."""
        fields, any_field = (spec.fields, spec.any_field) if spec else ((), True)
        for path, rule in entry.values.get("mapping", []):
            for problem in mapping.problems(rule, fields, any_field):
                self.problems.add(f"{path}.{problem.path}", problem.message)

    def _is_repeated(self, entry: Entry, name: str, seen: Mapping[str, Planned[Any]]) -> bool:
        if name in seen:
            self.problems.add(
                entry.path,
                _("{name} stands in this file already, at {path}.").format(
                    name=name, path=seen[name].entry.path
                ),
            )
        return name in seen

    def _clean(self, planned: Planned[Any]) -> None:
        try:
            planned.row.full_clean(
                exclude={"settings", "secrets"}, validate_unique=False, validate_constraints=False
            )
        except ValidationError as error:
            for key, messages in error.message_dict.items():
                for message in messages:
                    self.problems.add(planned.entry.at(key), message)


def _set_values(planned: Planned[Any], keys: Iterable[str]) -> None:
    for key in keys:
        if key in planned.entry.values and getattr(planned.row, key) != planned.entry.values[key]:
            setattr(planned.row, key, planned.entry.values[key])
            planned.changed = True


def _spec(destination: Destination) -> Spec | None:
    """What the connector declares; None where there is no such connector, which is reported elsewhere."""
    try:
        return destination.spec
    except UnknownConnector:
        return None


# --- Write ---------------------------------------------------------------------------------------------------


def _write(plan: _Plan, now: datetime) -> list[str]:
    """Save what changed, offers and destinations before the routes between them. Returns what was done."""
    notes = []
    rows: list[Planned[Any]] = [*plan.offers.values(), *plan.destinations.values(), *plan.routes.values()]
    for planned in rows:
        if planned.changed:
            notes += _make_way(planned.row)
            planned.row.save()
            said = _("{name}: added.") if planned.new else _("{name}: changed.")
            notes.append(said.format(name=planned.label))
    for destination in plan.destinations.values():
        if destination.other_settings:
            health.forget_test(destination.row)
        if destination.changed:
            _check_again(destination.row, now)
        if destination.rules is not None:
            notes += _publish(destination, destination.rules, now)
    for route in plan.routes.values():
        if route.rules is not None:
            notes += _publish(route, route.rules, now)
        elif route.row.live_mapping is None:
            # Without rules of its own it sends what its destination's default rules say.
            notes += _publish(route, [], now)
    return notes


def _make_way(row: models.Model) -> list[str]:
    """Before a connection is saved that new offers send to: no other is that any more."""
    if not (isinstance(row, Destination) and row.for_new_offers):
        return []
    said = _("CRM connection {name}: new offers no longer send to it.")
    return [said.format(name=name) for name in row.take_new_offers()]


def _check_again(destination: Destination, now: datetime) -> None:
    """A stopped destination need not wait for its next check: what stopped it may just have been mended."""
    stopped = DestinationState.objects.filter(destination=destination, state=DestinationState.State.STOPPED)
    stopped.update(until=now)


def _publish(planned: Planned[Any], rules: Sequence[Rule], now: datetime) -> list[str]:
    drafted = planned.row.mappings.filter(state=MappingVersion.State.DRAFT).exists()
    if not publishing.publish_rules(planned.row, rules, now):
        return []
    said = (
        _("{name}: mapping {version} published. An unpublished draft was replaced.")
        if drafted
        else _("{name}: mapping {version} published.")
    )
    return [said.format(name=planned.label, version=planned.row.live_mapping)]


def _offer_url(planned: Planned[Offer], now: datetime, notes: list[str]) -> dict[str, str]:
    """An offer with its URL: that of the key which the document gives, else its current one."""
    offer, key = planned.row, planned.entry.values.get("endpoint_key", "")
    usable = offer.endpoints.open(now).current_first()
    endpoint = (usable.filter(key_digest=key_digest(key)) if key else usable).first()
    if endpoint is None:
        endpoint = Endpoint.make(offer, key)
        notes.append(_("{name}: endpoint URL added.").format(name=planned.label))
    elif key and endpoint.expires_at:
        notes.append(
            _(
                "{path}: This URL was rotated and takes leads until {end}; take the key out of the file to get the "
                "current one."
            ).format(path=planned.entry.at("endpoint_key"), end=rfc3339(endpoint.expires_at))
        )
    return {"publisher_id": offer.publisher_id, "offer_id": offer.offer_id, "endpoint_url": endpoint.url}


def _notes_on_mapping(planned: Planned[Route]) -> Iterator[str]:
    if spec := _spec(planned.row.destination):
        for target in mapping.unmapped_required(effective_rules(planned.row), spec.fields):
            said = _("{name}: the CRM requires “{field}”, and no rule fills it.")
            yield said.format(name=planned.label, field=target.name)


def _notes_on_actions(planned: Planned[Route]) -> Iterator[str]:
    """An action that Microsoft does not document may still come one day, so it is no error."""
    known = {code.casefold() for code in ACTIONS}
    for index, code in enumerate(planned.entry.values.get("only_actions", [])):
        if code.casefold() not in known:
            path = f"{planned.entry.path}.only_actions[{index}]"
            yield _("{path}: Microsoft documents no action “{code}”{hint}").format(
                path=path, code=code, hint=nearest(code, ACTIONS)
            )


def _notes_on_waiting(planned: Planned[Route], now: datetime, send: bool) -> Iterator[str]:
    route = planned.row
    if not (route.enabled and route.offer.enabled):
        return
    if send:
        made = routing.send_waiting(route, now)
        if made.sent:
            said = ngettext(
                "{number:,} lead waiting for {name} will be sent now.",
                "{number:,} leads waiting for {name} will be sent now.",
                made.sent,
            )
            yield said.format(number=made.sent, name=planned.label)
        if made.held:
            said = ngettext(
                "{number:,} lead waiting for {name} is held.",
                "{number:,} leads waiting for {name} are held.",
                made.held,
            )
            yield said.format(number=made.held, name=planned.label)
    elif count := route.waiting_leads().count():
        said = ngettext(
            "{number:,} lead waits for {name}; apply again with --send-waiting to send it.",
            "{number:,} leads wait for {name}; apply again with --send-waiting to send them.",
            count,
        )
        yield said.format(number=count, name=planned.label)


# --- Export --------------------------------------------------------------------------------------------------


def export() -> Result:
    """The document that describes this installation, without secrets and endpoint keys.

    The demo is left out, but for a demo CRM that a real offer sends to.
    """
    offers = sorted(Offer.objects.filter(is_demo=False), key=lambda offer: offer.slug)
    routes = sorted(
        Route.objects.filter(offer__is_demo=False).select_related("offer", "destination"), key=_route_name
    )
    live = [route for route in routes if route.live_mapping is not None]
    used = {route.destination_id for route in live}
    destinations = [
        destination
        for destination in sorted(Destination.objects.all(), key=lambda destination: destination.name)
        if not destination.is_demo or destination.pk in used
    ]
    notes = [f"{destination.name}: {note}" for destination in destinations for note in _notes_on(destination)]
    notes += [
        _("{name}: left out, because its mapping was never published.").format(name=_route_name(route))
        for route in routes
        if route not in live
    ]
    document = {
        "offers": [_export_offer(offer) for offer in offers],
        "destinations": [_export_destination(destination) for destination in destinations],
        "routes": [_export_route(route) for route in live],
    }
    return Result(document, notes)


def _route_name(route: Route) -> str:
    return f"{route.offer.slug} -> {route.destination.name}"


def _notes_on(destination: Destination) -> Iterator[str]:
    if destination.secrets:
        yield _("left out {names}; give it where this is to be applied anew.").format(
            names=", ".join(sorted(destination.secrets))
        )
    if _spec(destination) is None:
        yield _("there is no connector “{name}” any more, so its settings are left out.").format(
            name=destination.connector
        )


def _export_offer(offer: Offer) -> dict[str, Any]:
    values = {key: getattr(offer, key) for key in _OFFER_VALUES}
    return {"publisher_id": offer.publisher_id, "offer_id": offer.offer_id, **values}


def _export_destination(destination: Destination) -> dict[str, Any]:
    spec = _spec(destination)
    # By the spec, not by the column: a setting that became a secret later may still stand among the others.
    declared = [setting.name for setting in spec.settings if not setting.secret] if spec else []
    return {
        "name": destination.name,
        "connector": destination.connector,
        **{key: getattr(destination, key) for key in _DESTINATION_VALUES},
        "settings": {name: destination.settings[name] for name in declared if name in destination.settings},
        **_export_mapping(destination.live_mapping),
    }


def _new_destination(name: str, connector: str) -> Destination:
    """One that starts with the limits of its kind, as one that is added on its page."""
    row = Destination(name=name, connector=connector)
    if spec := _spec(row):
        row.max_in_flight, row.max_per_second, row.max_per_day = (
            spec.max_in_flight,
            spec.max_per_second,
            spec.max_per_day,
        )
    return row


def _export_route(route: Route) -> dict[str, Any]:
    return {
        "offer": route.offer.slug,
        "destination": route.destination.name,
        **{key: getattr(route, key) for key in _ROUTE_VALUES},
        **_export_mapping(route.live_mapping),
    }


def _export_mapping(live: MappingVersion | None) -> dict[str, Any]:
    return {"mapping": [rule.as_config() for rule in live.as_rules()]} if live else {}
