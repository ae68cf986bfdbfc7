"""Pages for when something is not as it should be. They ask no database, which may be what is wrong."""

from typing import Any

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseServerError
from django.template import loader


def site(request: HttpRequest) -> dict[str, Any]:
    """What every page may say of this site: a context processor, for pages that the admin does not make."""
    return {"version": settings.VERSION, "public_url": settings.PUBLIC_URL}


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A request that Django will not look at: asked under another name, say, or with too large a form."""
    context = {**site(request), "other_name": isinstance(exception, DisallowedHost)}
    return HttpResponseBadRequest(loader.get_template("400.html").render(context))


def server_error(request: HttpRequest) -> HttpResponse:
    """An error of ours. Nothing of the request is touched: whatever broke may break again."""
    return HttpResponseServerError(loader.get_template("500.html").render(site(request)))
