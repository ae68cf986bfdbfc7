"""Field mappings that no longer fit what the CRM tells of its fields: doubted before a lead fails by them.

A doubt holds no lead. The CRM may take a field that it does not list, and only its own refusal is proof (see blame).
"""

from collections.abc import Iterator, Sequence

from django.conf import settings
from django.db.models import prefetch_related_objects
from django.utils.translation import gettext as _
from django.utils.translation import override

from crm_sync.mapping import EVERYTHING, Rule, compose, unmapped_required
from crm_sync.models import Destination, MappingVersion
from crm_sync.spec import Spec
from crm_sync.transforms import closest


def look_again(destination_id: int) -> None:
    """Doubt the live mappings of a destination that its CRM's fields no longer fit, and take back what does fit again.

    Only where the CRM told its fields: what a kind declares of itself changes with this software alone.
    """
    with override(settings.LANGUAGE_CODE):  # what is found is stored, for readers of every language
        _look_again(Destination.objects.defer("secrets").get(pk=destination_id))


def _look_again(destination: Destination) -> None:
    if destination.fields_read_at is None or not destination.spec.describes:
        return
    default = destination.live_mapping
    rows = default.as_rules() if default else ()
    if default:
        _note(default, [*_gone(rows, destination.spec)])
    inherited = destination.default_rules()
    for version in _live(destination):
        own = version.as_rules()
        found = [*_gone(own, destination.spec), *_gone(_in_turn(own, rows), destination.spec)]
        missing = unmapped_required(compose(own, inherited), destination.spec.fields)
        unfilled = _("The CRM requires “%(field)s”, and no row fills it.")
        found += [(field.name, unfilled % {"field": field.label}) for field in missing]
        _note(version, found)


def _live(destination: Destination) -> list[MappingVersion]:
    """The live versions of the routes to there."""
    published = MappingVersion.objects.published().filter(route__destination=destination).order_by("number")
    newest = list({version.route_id: version for version in published}.values())
    prefetch_related_objects(newest, "rules")
    return newest


def _in_turn(own: Sequence[Rule], inherited: Sequence[Rule]) -> list[Rule]:
    """The inherited rows that get their turn beside a route's own."""
    decided = {rule.target for rule in own if not rule.when}
    return [rule for rule in inherited if rule.target not in decided]


def _gone(rules: Sequence[Rule], spec: Spec) -> Iterator[tuple[str, str]]:
    """The fields that these rules fill and the CRM does not have: the name, and a sentence."""
    known = [] if spec.any_field else [field.name for field in spec.fields]
    sent = dict.fromkeys(rule.target for rule in rules if rule.kind != "omit" and rule.target != EVERYTHING)
    for name in sent if known else ():
        if name not in known:
            close = closest(name, known)
            said = (
                _("The CRM no longer has the field “%(name)s”; did you mean “%(close)s”?")
                if close
                else _("The CRM no longer has the field “%(name)s”.")
            )
            yield name, said % {"name": name, "close": close}


def _note(version: MappingVersion, found: Sequence[tuple[str, str]]) -> None:
    """Keep what was found of a version, where it differs from what is known."""
    field = found[0][0][:200] if found else ""
    doubt = " ".join(dict.fromkeys(sentence for _, sentence in found))
    if (version.doubt, version.doubt_field) != (doubt, field):
        MappingVersion.objects.filter(pk=version.pk).update(doubt=doubt, doubt_field=field)
