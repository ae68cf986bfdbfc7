"""The person of a lead on its page: whoever opens it wants to call or to write, and not in the middle of the night."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from leads import local_time, tidy
from leads.admin.original import Fact
from leads.countries import country_code, country_in_words
from leads.models import Lead
from leads.wording import clip_and_tell, mail_link


def may_be_contacted(lead: Lead) -> bool:
    """Whether a click may write to the customer, or call."""
    return lead.action != "DNC"


def facts(lead: Lead, now: datetime) -> Iterator[Fact]:
    """Who it is and how to reach them."""
    yield Fact(_("Name"), clip_and_tell(lead.full_name))
    yield Fact(_("Company"), clip_and_tell(lead.company))
    yield Fact(_("Job title"), clip_and_tell(lead.title))
    yield _email(lead)
    yield _phone(lead)
    if may_be_contacted(lead) and (found := _there(lead, now)):
        yield Fact(_("Local time"), clocks(found, timezone.localtime(now)), note=_where(lead, found))
    name = country_in_words(country_code(lead.country))
    sent = clip_and_tell(lead.country)
    yield Fact(_("Country"), f"{name} ({sent})" if name and name != sent else sent)


def _email(lead: Lead) -> Fact:
    email = lead.tidy_email or lead.email
    link = mail_link(email) if may_be_contacted(lead) else ""
    return Fact(_("E-mail"), clip_and_tell(email), link, _sent_as(lead.email, email))


def _phone(lead: Lead) -> Fact:
    phone = lead.phone if _only_spaced(lead.phone, lead.tidy_phone) else tidy.spaced(lead.tidy_phone)
    # Only a number that can be dialled from anywhere: the others may be anything.
    link = f"tel:{lead.tidy_phone}" if lead.tidy_phone and may_be_contacted(lead) else ""
    return Fact(_("Phone"), clip_and_tell(phone), link, _sent_as(lead.phone, phone))


def _sent_as(sent: str, shown: str) -> str:
    """What stands beside a value that was tidied."""
    return _("sent as %(value)s") % {"value": clip_and_tell(sent)} if sent != shown else ""


def _only_spaced(sent: str, number: str) -> bool:
    """Whether a phone number was sent as it is dialled from anywhere but for spaces, or could not be read."""
    return not number or "".join(c for c in sent if c not in " -.()/") == number


# Their time

_AT_WORK = {
    local_time.AtWork.EVERYWHERE: gettext_lazy("office hours"),
    local_time.AtWork.SOMEWHERE: gettext_lazy("office hours in part of it"),
    local_time.AtWork.NOWHERE: gettext_lazy("no office hours now"),
}


def _there(lead: Lead, now: datetime) -> local_time.There | None:
    return local_time.there(lead.tidy_phone, lead.tidy_country or country_code(lead.country), now)


def _where(lead: Lead, found: local_time.There) -> str:
    """Whose time it is, where the phone number and the country that was sent are of two minds."""
    sent = lead.tidy_country or country_code(lead.country)
    name = country_in_words(found.country)
    if not sent or sent == found.country or not name:
        return ""
    return _("%(country)s, by the phone number") % {"country": name}


def clocks(found: local_time.There, mine: datetime) -> str:
    """What their clocks show, and how far ahead of them this user's is: "09:12 there, Tuesday; you are 6 h ahead".

    Of several time zones: "07:12 to 12:12 there, Tuesday: office hours in part of it; you are 6 h to 11 h ahead".
    """
    shown = {"time": f"{found.earliest:%H:%M}", "day": date_format(found.earliest, "l")}
    if found.is_one_time:
        there = _("%(time)s there, %(day)s") % shown
    else:
        shown |= {"until": f"{found.latest:%H:%M}", "last_day": date_format(found.latest, "l")}
        if shown["day"] == shown["last_day"]:
            there = _("%(time)s to %(until)s there, %(day)s") % shown
        else:
            there = _("%(time)s on %(day)s to %(until)s on %(last_day)s there") % shown
        there = f"{there}: {_AT_WORK[found.at_work]}"
    return f"{there}; {_difference(*local_time.ahead(found, mine))}"


def _difference(least: timedelta, most: timedelta) -> str:
    """`least`, `most`: by how much this user's clock is ahead."""
    nothing = timedelta()
    if least == most == nothing:
        return _("the same time as yours")
    if least < nothing < most:
        shown = {"ahead": _hours(most), "behind": _hours(-least)}
        return _("you are between %(behind)s behind and %(ahead)s ahead") % shown
    near, far = sorted((abs(least), abs(most)))
    shown = {"near": _hours(near), "far": _hours(far)}
    if near == far:
        return (_("you are %(far)s ahead") if most > nothing else _("you are %(far)s behind")) % shown
    if near == nothing:
        return (
            _("you are up to %(far)s ahead") if most > nothing else _("you are up to %(far)s behind")
        ) % shown
    ahead, behind = _("you are %(near)s to %(far)s ahead"), _("you are %(near)s to %(far)s behind")
    return (ahead if most > nothing else behind) % shown


def _hours(span: timedelta) -> str:
    hours, minutes = divmod(int(span.total_seconds()) // 60, 60)
    if minutes:
        return _("%(hours)s\u00a0h %(minutes)s\u00a0min") % {"hours": hours, "minutes": minutes}
    return ngettext("%(hours)s\u00a0h", "%(hours)s\u00a0h", hours) % {"hours": hours}
