"""The tests: a real PostgreSQL and a real Valkey that the test session starts and names."""

from portal.settings.base import *  # noqa: F403
from portal.settings.base import DATABASES, STORAGES

DEPLOYMENT = "test"
DATABASES["default"]["OPTIONS"] = {"connect_timeout": 3}
STORAGES["staticfiles"] = {
    "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage",
}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
