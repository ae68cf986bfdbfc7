"""The WSGI application that granian serves."""

import os

from django.core.wsgi import get_wsgi_application

from leadsite import web
from leadsite.lifeline import end_with_parent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leadsite.settings")
application = get_wsgi_application()
end_with_parent(web.GRACE)  # granian's workers outlive a killed master, and would keep the port
