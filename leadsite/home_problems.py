"""What Home says first: what needs somebody, the worst on top, and what to do next where nothing is set up yet."""

from collections.abc import Iterator, Sequence

from django.conf import settings
from django.db.models import Exists, OuterRef
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from leads.models import Endpoint, Lead, Offer, Submission
from leads.ports import Notice, ports
from leads.wording import ago, clip
from leadsite import bootstrap, first_hour, settings_page

SHOWN = 5  # problems; the others unfold
CAP = 10_000  # leads and requests counted


def sorted_problems(
    request: HttpRequest, reported: Sequence[Notice], steps: Sequence[first_hour.Step]
) -> tuple[list[Notice], list[Notice]]:
    """What needs attention, errors first, then what costs most leads; and the good news.

    What stands on every page anyway, or is one of the steps to take, is not said twice.
    """
    told = [*(notice for notice in reported if not notice.everywhere), *_own(request)]
    if not steps:
        told += _unreachable(request)
    problems = [notice for notice in told if notice.level != "well"]
    problems.sort(key=lambda notice: (notice.level != "error", -notice.leads))
    return problems, [notice for notice in told if notice.level == "well"]


def all_well(request: HttpRequest) -> str:
    """One sentence, with the age of the last lead and whether all have left."""
    if not request.user.has_perm("leads.view_lead"):
        return _("All well.")
    last = Lead.objects.counted().order_by("-received_at").values_list("received_at", flat=True).first()
    if last is None:
        return _("All well. No lead has come yet.")
    sent = filter(None, (ask(request) for ask in ports.all_sent))
    told = [_("last lead %(ago)s") % {"ago": ago(last)}, *sent]
    what = format_html_join(", ", "{}", ((part,) for part in told))
    return SafeString(escape(_("All well: %(what)s.")) % {"what": what})


def _own(request: HttpRequest) -> Iterator[Notice]:
    """What the site itself and the intake report, each to those who can do something about it."""
    if request.user.get_username() == bootstrap.ADMIN and bootstrap.has_given_password():
        yield Notice(
            "warning",
            _("You still have the password that was printed for you: logs and terminals may show it."),
            reverse("admin:password_change"),
            _("Choose your own"),
        )
    if request.user.has_perm("leads.change_offer"):
        yield from _offers_without_url()
    if request.user.has_perm("leads.view_submission"):
        yield from _quarantine()


def _unreachable(request: HttpRequest) -> Iterator[Notice]:
    if request.user.has_perm("leads.change_offer") and not settings.PUBLIC_URL.startswith("https://"):
        yield Notice(
            "warning",
            _(
                "Microsoft cannot reach %(url)s. You need a public HTTPS address: put a TLS proxy in front, set "
                "PUBLIC_URL in .env and start again."
            )
            % {"url": settings.PUBLIC_URL},
            reverse("admin:doctor") if settings_page.may_view(request) else "",
            _("Health"),
        )


def _offers_without_url() -> Iterator[Notice]:
    urls = Endpoint.objects.open(timezone.now()).filter(offer=OuterRef("pk"))
    for offer in Offer.objects.filter(~Exists(urls), enabled=True)[:SHOWN]:
        yield Notice(
            "error",
            _("%(offer)s has no URL: none of its leads can arrive.") % {"offer": clip(offer.title, 80)},
            reverse("admin:leads_offer_change", args=[offer.pk]),
            _("Open the offer"),
        )


def _quarantine() -> Iterator[Notice]:
    # The demo's broken request is there to be seen, not to be worried about.
    waiting = Submission.objects.filter(verdict=Submission.Verdict.QUARANTINED, offer__is_demo=False)
    count = waiting.order_by()[: CAP + 1].count()
    if count:
        text = ngettext(
            "%(number)s request arrived and could not be read: a lead may be in there.",
            "%(number)s requests arrived and could not be read: a lead may be in there.",
            count,
        )
        yield Notice(
            "warning",
            text % {"number": f"{count:,}" if count <= CAP else f"{CAP:,}+"},
            reverse("admin:leads_submission_changelist"),
            _("Open quarantine"),
            since=waiting.order_by("received_at").values_list("received_at", flat=True).first(),
            leads=count,
        )


def steps(request: HttpRequest) -> list[first_hour.Step]:
    """The steps of the set-up, while one of them is not done, for those who can take them."""
    if not first_hour.may_view(request):
        return []
    found = first_hour.steps(request)
    return [] if all(step.done for step in found) else found


def next_step(request: HttpRequest) -> str:
    """For everybody else, why there is nothing to see yet; "" where there is."""
    if first_hour.may_view(request) or Offer.objects.filter(is_demo=False).exists():
        return ""
    return _("There is no offer yet. A partner manager adds the first one.")
