"""Django as a WSGI application: `leadsite.rsgi` gives it whole requests, and any WSGI server can serve it too."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leadsite.settings")
application = get_wsgi_application()
