"""The site's own settings, with an SQLite database that may have MAX_PAGES pages and no more."""

import os

from leadsite.settings import *  # noqa: F403

DATABASES["default"]["OPTIONS"]["init_command"] += f"PRAGMA max_page_count={int(os.environ['MAX_PAGES'])};"  # noqa: F405
