"""What stands in front of every page, and what does not stand in front of a lead."""

import re
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

from leads.proxies import is_trusted
from leads.views import EndpointView

GetResponse = Callable[[HttpRequest], HttpResponseBase]
INTAKE = re.compile(r"/in/([^/]+)/?")


def intake_first(get_response: GetResponse) -> GetResponse:
    """Hand a POST to an endpoint straight to its view: no Host check, cookie, CSRF or session comes before the disk."""
    take = EndpointView.as_view()

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if match := INTAKE.fullmatch(request.path_info):
            return take(request, key=match[1])
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
