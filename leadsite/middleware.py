"""What stands in front of every page, and what does not stand in front of a lead."""

from collections.abc import Callable
from contextlib import suppress
from zoneinfo import ZoneInfo, available_timezones

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.urls import Resolver404, resolve
from django.utils import timezone, translation

from leads.proxies import is_trusted

GetResponse = Callable[[HttpRequest], HttpResponseBase]

ZONE_COOKIE = "leadsite_zone"  # written by zone.js
ZONES = available_timezones()


def straight_through(get_response: GetResponse) -> GetResponse:
    """Hand a request for an endpoint straight to its view, and a probe to its own.

    No Host check, cookie, CSRF or session comes before the disk, and load balancers ask under whatever Host they like.
    What is said there is stored: it is in LANGUAGE_CODE, whomever this thread made a page for before.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if request.path_info.startswith(("/in/", "/livez", "/readyz")):
            with suppress(Resolver404):
                view, arguments, named = resolve(request.path_info)
                with translation.override(settings.LANGUAGE_CODE):
                    return view(request, *arguments, **named)
        return get_response(request)

    return middleware


def trusted_proxy(get_response: GetResponse) -> GetResponse:
    """Believe X-Forwarded-Proto of our own TLS proxies, and of nobody else."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if is_trusted(request.META.get("REMOTE_ADDR", ""), settings.TRUSTED_PROXIES):
            scheme = request.META.get("HTTP_X_FORWARDED_PROTO", "").split(",")[0].strip()
            if scheme in {"http", "https"}:
                request.META["wsgi.url_scheme"] = scheme
        return get_response(request)

    return middleware


def zone_of_reader(get_response: GetResponse) -> GetResponse:
    """Show times in the time zone of the reader's browser, where that told it, else in TIME_ZONE.

    Mails are written by the worker, and keep TIME_ZONE.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        name = request.COOKIES.get(ZONE_COOKIE, "")
        if name not in ZONES:  # anybody can write a cookie
            return get_response(request)
        with timezone.override(ZoneInfo(name)):
            return get_response(request)

    return middleware
