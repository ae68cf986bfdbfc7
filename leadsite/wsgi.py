"""The WSGI application that granian serves."""

import os

from django.core.wsgi import get_wsgi_application

from leadsite.lifeline import end_with_parent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leadsite.settings")
application = get_wsgi_application()

if os.environ.get("LEADSITE_SUPERVISED"):
    # granian's workers outlive a killed master, and would keep the port.
    end_with_parent()
