"""Makes the `.env` of a new installation, with secrets of its own. Runs before any settings are read."""

import os
import secrets
from pathlib import Path

from cryptography.fernet import Fernet

BASE_DIR = Path(__file__).resolve().parent.parent
TEMPLATE = BASE_DIR / ".env.example"


def path() -> Path:
    """Where the settings come from: `.env` beside manage.py, or what LEADSITE_ENV_FILE names."""
    return Path(os.environ.get("LEADSITE_ENV_FILE", BASE_DIR / ".env"))


def write_if_absent() -> bool:
    """Write `.env` from `.env.example` with fresh secrets, readable by its owner only.

    Returns True if it was written, False if there was one already (which stays as it is).
    """
    fresh = {
        "SECRET_KEY": secrets.token_urlsafe(48),
        "FIELD_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
    }
    lines = [
        f"{name}={fresh[name]}" if (name := line.partition("=")[0]) in fresh else line
        for line in TEMPLATE.read_text(encoding="utf-8").splitlines()
    ]
    try:
        # O_EXCL: two first starts at once must not end up with each other's half of the secrets.
        handle = os.open(path(), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    return True
