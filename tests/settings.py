"""The project's settings with fixed secrets and a scratch data directory, for the test run only."""

import os
import tempfile

from cryptography.fernet import Fernet

os.environ.setdefault("SECRET_KEY", "test-secret-key-that-is-long-enough-for-the-start-up-check")
os.environ.setdefault("FIELD_ENCRYPTION_KEYS", Fernet.generate_key().decode())
os.environ.setdefault("DATA_DIR", tempfile.mkdtemp(prefix="leadsite-tests-"))
os.environ.setdefault("DATABASE_URL", f"sqlite:///{os.environ['DATA_DIR']}/test.sqlite3")
os.environ.setdefault("LEADSITE_ENV_FILE", "/dev/null")
# On PostgreSQL too: the other engine's bell keeps a connection. Its tests ring it themselves.
os.environ.setdefault("DELIVERY_ENGINE", "embedded")

from leadsite.settings import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}  # noqa: F405
if ON_SQLITE:  # noqa: F405
    # In memory. pytest-django puts the number of a parallel worker behind the name, where SQLite ignores it.
    DATABASES["default"]["TEST"] = {"NAME": "file:tests?mode=memory&cache=shared&worker="}  # noqa: F405
