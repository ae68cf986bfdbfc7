"""Every address of the site."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView

from leadsite import health

handler400 = "leadsite.errors.bad_request"
handler500 = "leadsite.errors.server_error"
urlpatterns = [
    path("", include("leads.urls")),  # first: it is asked for every lead
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("api/schema/", SpectacularAPIView.as_view(), name="openapi"),
    path("livez", health.livez),
    path("readyz", health.readyz),
]
