from django.urls import re_path

from leads.views import EndpointView

app_name = "leads"
# With or without a trailing slash, never redirecting: a sender that posts once does not follow.
urlpatterns = [re_path(r"^in/(?P<key>[^/]+)/?$", EndpointView.as_view(), name="endpoint")]
