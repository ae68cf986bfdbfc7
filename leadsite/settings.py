"""Settings, all from the environment and `.env` (see `.env.example`, where each is explained)."""

import os
import sys
from ipaddress import ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import available_timezones

import environ
from cryptography.fernet import Fernet
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from leadsite import envfile

BASE_DIR = Path(__file__).resolve().parent.parent
VERSION = "0.1.0"

env = environ.Env()
if envfile.path().is_file():
    env.read_env(envfile.path())  # does not overwrite: the process environment wins


def text(name: str, default: str = "") -> str:
    """The setting of that name; an empty line in `.env` means the default."""
    return env.str(name, default="").strip() or default


def flag(name: str) -> bool:
    """A setting that is `true` or `false` and nothing else; a typing error must not switch a guard off."""
    value = text(name, "false").lower()
    if value not in {"true", "false"}:
        raise ImproperlyConfigured(f"{name} must be true or false, not {value!r}.")
    return value == "true"


def number(name: str, default: int) -> int:
    """A setting that is a whole number above zero."""
    value = text(name, str(default))
    if not value.isdigit() or int(value) == 0:
        raise ImproperlyConfigured(f"{name} must be a whole number above zero, not {value!r}.")
    return int(value)


DEBUG = flag("DEBUG")

# --- Secrets -------------------------------------------------------------------------------------------------

SECRET_KEY = text("SECRET_KEY")
if len(SECRET_KEY) < 40 or SECRET_KEY.startswith("django-insecure-"):
    raise ImproperlyConfigured(
        "SECRET_KEY is missing or too short (40 characters at least). `make run` writes one into .env."
    )
FIELD_ENCRYPTION_KEYS = [key.strip() for key in text("FIELD_ENCRYPTION_KEYS").split(",") if key.strip()]
if not FIELD_ENCRYPTION_KEYS:
    raise ImproperlyConfigured("FIELD_ENCRYPTION_KEYS is missing. `make run` writes one into .env.")
for position, key in enumerate(FIELD_ENCRYPTION_KEYS, 1):
    try:
        Fernet(key)
    except ValueError as error:
        raise ImproperlyConfigured(
            f"FIELD_ENCRYPTION_KEYS: key {position} is not a Fernet key (32 bytes, URL-safe base64)."
        ) from error

# --- Address -------------------------------------------------------------------------------------------------

HOST = {"localhost": "127.0.0.1"}.get(text("HOST"), text("HOST", "127.0.0.1"))
try:
    ip_address(HOST)
except ValueError as error:
    raise ImproperlyConfigured(
        f"HOST must be an address such as 127.0.0.1 or 0.0.0.0, not {HOST!r}."
    ) from error
PORT = number("PORT", 8000)
_local = "127.0.0.1" if HOST in {"0.0.0.0", "::"} else f"[{HOST}]" if ":" in HOST else HOST  # noqa: S104
PUBLIC_URL = text("PUBLIC_URL", f"http://{_local}:{PORT}").rstrip("/")
_public = urlsplit(PUBLIC_URL)
if _public.scheme not in {"http", "https"} or not _public.hostname or _public.path:
    raise ImproperlyConfigured(
        f"PUBLIC_URL must be an address such as https://leads.example.com, not {PUBLIC_URL!r}."
    )
LOOPBACK_HOSTS = ["localhost", "127.0.0.1", "[::1]"]
ALLOWED_HOSTS = sorted({_public.hostname, *LOOPBACK_HOSTS})
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
_https = _public.scheme == "https"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _https
SECURE_HSTS_SECONDS = 31_536_000 if _https else 0
TRUSTED_PROXIES = [item.strip() for item in text("TRUSTED_PROXIES").split(",") if item.strip()]
for item in TRUSTED_PROXIES:
    try:
        ip_network(item, strict=False)
    except ValueError as error:
        raise ImproperlyConfigured(f"TRUSTED_PROXIES: {item!r} is no address or network.") from error

# --- Data ----------------------------------------------------------------------------------------------------

DATA_DIR = Path(text("DATA_DIR", str(BASE_DIR / "data")))
DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)  # leads are in there
try:
    _database = env.db_url_config(text("DATABASE_URL", f"sqlite:///{DATA_DIR / 'leads.sqlite3'}"))
except Exception:  # whatever its parser trips over; the value holds a password and is not repeated
    raise ImproperlyConfigured(
        "DATABASE_URL cannot be read. Write postgres://user:password@host:5432/name, with special characters "
        "of the password percent-encoded."
    ) from None
DATABASES = {"default": _database}
ON_SQLITE = DATABASES["default"]["ENGINE"].endswith("sqlite3")
DATABASES["default"]["CONN_MAX_AGE"] = None
if ON_SQLITE:
    DATABASES["default"]["ENGINE"] = "leadsite.sqlite"
    DATABASES["default"]["OPTIONS"] = {
        # FULL: with NORMAL the last commits can be lost at a power cut, and we have answered 201 by then.
        # The worker moves the log into the database every two seconds, where nobody waits for it; if none runs, a
        # writer does so after 50,000 pages (200 MB).
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=50000;",
        # IMMEDIATE: a transaction that starts by reading and then writes must not fail with "database is locked".
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
    }
else:
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    # A lead must be refused, or spooled, at once while the database's machine is away.
    DATABASES["default"]["OPTIONS"] = {
        "connect_timeout": 2,  # seconds; libpq takes 1 for 2
        "tcp_user_timeout": 10_000,  # milliseconds
        "keepalives_idle": 10,
        **DATABASES["default"].get("OPTIONS", {}),
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Intake and delivery -------------------------------------------------------------------------------------

MAX_BODY_BYTES = number("MAX_BODY_BYTES", 256 * 1024)
INTAKE_RATE = number("INTAKE_RATE", 50)
ALLOW_PRIVATE_DESTINATIONS = flag("ALLOW_PRIVATE_DESTINATIONS")
DELIVERY_ENGINE = text("DELIVERY_ENGINE", "embedded" if ON_SQLITE else "procrastinate")
if DELIVERY_ENGINE not in {"embedded", "procrastinate"}:
    raise ImproperlyConfigured(
        f"DELIVERY_ENGINE must be embedded or procrastinate, not {DELIVERY_ENGINE!r}; empty, it follows the database."
    )
if DELIVERY_ENGINE == "procrastinate" and ON_SQLITE:
    raise ImproperlyConfigured(
        "DELIVERY_ENGINE=procrastinate needs PostgreSQL. Name one in DATABASE_URL, or leave DELIVERY_ENGINE empty."
    )
# Where leads go while the database is away; without it, the sender is told to keep them.
SPOOL_DIR = Path(text("SPOOL_DIR")) if text("SPOOL_DIR") else None
if SPOOL_DIR is not None:
    try:
        SPOOL_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(f"SPOOL_DIR: {SPOOL_DIR} cannot be made ({error.strerror}).") from error
    if not os.access(SPOOL_DIR, os.R_OK | os.W_OK | os.X_OK):
        raise ImproperlyConfigured(f"SPOOL_DIR: this user may not write to {SPOOL_DIR}.")

# --- Django --------------------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "leadsite.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "django_htmx",  # for its script
    # Whichever engine runs, so that the database does not change with it.
    *([] if ON_SQLITE else ["procrastinate.contrib.django"]),
    "leads",
    "crm_sync",
    "leadsite.apps.LeadsiteConfig",
]
MIDDLEWARE = [
    # First: nothing below may stand between a lead and the disk.
    "leadsite.middleware.straight_through",
    "leadsite.middleware.trusted_proxy",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "leadsite.middleware.zone_of_reader",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "leadsite.urls"
WSGI_APPLICATION = "leadsite.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "leadsite.errors.site",
            ]
        },
    }
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LANGUAGE_CODE = "en"
# English is in the code. `make messages LOCALE=de` begins a translation in `locale`; then it is named here.
LANGUAGES = [("en", "English")]
LOCALE_PATHS = [BASE_DIR / "locale"]
FORMAT_MODULE_PATH = "leadsite.formats"
USE_TZ = True
TIME_ZONE = text("TIME_ZONE", "UTC")
if TIME_ZONE not in available_timezones():
    raise ImproperlyConfigured(
        f"TIME_ZONE: there is no time zone {TIME_ZONE!r}. Write Europe/Berlin, for example."
    )
REST_FRAMEWORK = {"DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema"}
SPECTACULAR_SETTINGS = {
    "TITLE": "Marketplace leads",
    "DESCRIPTION": "Takes the leads that Microsoft's commercial marketplace posts, and passes them on to a CRM.",
    "VERSION": VERSION,
    "OAS_VERSION": "3.1.0",
    "SERVERS": [{"url": PUBLIC_URL}],
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": ["rest_framework.authentication.SessionAuthentication"],
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAdminUser"],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "leads.openapi.describe_endpoint",
    ],
}
STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "leadsite" / "assets"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
SECURE_REFERRER_POLICY = "same-origin"
# A field mapping is one form: 400 rows of a dozen inputs, and long value lists.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 20_000
SESSION_COOKIE_NAME = "leadsite_session"
EMAIL_URL = text("EMAIL_URL", "consolemail://")
vars().update(env.email_url_config(EMAIL_URL))
EMAIL_TIMEOUT = 20  # seconds that a mail server may keep silent
DEFAULT_FROM_EMAIL = text("DEFAULT_FROM_EMAIL", "leads@localhost")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "leads.vault.MaskingFormatter",
            "fmt": "%(asctime)s %(levelname)s %(name)s: %(message)s",
        }
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "stream": sys.stderr,
            "formatter": "line",
        }
    },
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {
        "django": {"handlers": ["console"], "level": "WARNING", "propagate": False},
        "django.request": {
            "level": "ERROR"
        },  # not a line for each 4xx: strangers could fill the disk with them
        "leads": {"level": "INFO"},
        "crm_sync": {"level": "INFO"},
        "leadsite": {"level": "INFO"},
        "psycopg.pool": {"level": "ERROR"},  # while the database is away, a line for each try
    },
}
