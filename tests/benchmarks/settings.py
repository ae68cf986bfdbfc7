"""A site's usual settings, and one kind of CRM more."""

from leadsite.settings import *  # noqa: F403

INSTALLED_APPS = [*INSTALLED_APPS, "tests.batch_connector.BatchConfig"]  # noqa: F405
