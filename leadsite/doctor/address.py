"""The way in: the public address, the proxy in front of it, and whether anything came through."""

from datetime import timedelta
from ipaddress import ip_network

from django.conf import settings
from django.utils.translation import gettext as _

from leads.models import Endpoint
from leads.wording import ago
from leadsite import health
from leadsite.doctor.finding import Finding, Scene, ok, warning, wrong

LATELY = timedelta(days=7)  # a lead that came within so many days has found its way
LONG = timedelta(days=30)


def public_address(scene: Scene) -> Finding:
    found, last = scene.reach, scene.last_post
    if found.ok:
        return warning(found.sentence, found.fix) if found.fix else ok(found.sentence)
    if found.uncertain and last and scene.since(last) < LATELY:
        came = _("A request came from outside all the same, %(ago)s.") % {"ago": ago(last, scene.now)}
        return warning(f"{found.sentence} {came}", found.fix)
    return wrong(found.sentence, found.fix)


def believes_too_many(scene: Scene) -> Finding:
    """TRUSTED_PROXIES on its own, without asking anybody."""
    trusted = settings.TRUSTED_PROXIES
    everybody = [item for item in trusted if ip_network(item, strict=False).prefixlen == 0]
    if everybody:
        return wrong(
            _(
                "TRUSTED_PROXIES believes everybody: whoever posts a lead can write any sender's address into it."
            ),
            _(
                "In .env, the address of your TLS proxy alone: TRUSTED_PROXIES=127.0.0.1 for one on this machine."
            ),
        )
    if not trusted and settings.PUBLIC_URL.startswith("https://"):
        return warning(
            _(
                "TRUSTED_PROXIES is empty: every request seems to come from the TLS proxy, so that one stranger "
                "who guesses URLs slows all others."
            ),
            _("In .env, the address of your TLS proxy: TRUSTED_PROXIES=127.0.0.1 for one on this machine."),
        )
    if not trusted:
        return ok(_("There is no proxy in front, and none is believed."))
    return ok(_("Believed are %(proxies)s.") % {"proxies": ", ".join(trusted)})


def proxy(scene: Scene) -> Finding:
    """TRUSTED_PROXIES, against what a request through the public address has shown."""
    found = believes_too_many(scene)
    through = scene.reach.proxy
    if found.fix or through in {"", health.BELIEVED}:
        return found
    if through == health.SILENT:
        return warning(
            _("The TLS proxy does not say for whom it asks: every request seems to come from itself."),
            _("Let the proxy set X-Forwarded-For and X-Forwarded-Proto (docs/operating.md, In front of it)."),
        )
    return warning(
        _("The TLS proxy is none of TRUSTED_PROXIES: every request seems to come from itself."),
        _("Add its address, as this server sees it, to TRUSTED_PROXIES in .env and start again."),
    )


def last_post(scene: Scene) -> Finding:
    last = scene.last_post
    if last is None:
        open_urls = Endpoint.objects.open(scene.now).filter(offer__is_demo=False)
        if not open_urls.exists():
            return warning(
                _("No offer of your own has a URL yet: no real lead can arrive."),
                _("Add your offer at %(url)s/admin/leads/offer/add/.") % {"url": settings.PUBLIC_URL},
            )
        return warning(
            _("No request has ever come to the URL of an offer."),
            _(
                "Paste the URL of the offer, which its page at %(url)s/admin/leads/offer/ shows, in Partner Center and "
                "press Validate: Microsoft then posts a test lead."
            )
            % {"url": settings.PUBLIC_URL},
        )
    came = _("The last request to the URL of an offer came %(ago)s.") % {"ago": ago(last, scene.now)}
    if scene.since(last) > LONG:
        return warning(
            came,
            _(
                "See in Partner Center that each offer still names its URL, as %(url)s/admin/leads/offer/urls/ lists "
                "them, and press Validate there."
            )
            % {"url": settings.PUBLIC_URL},
        )
    return ok(came)
