"""The trial: everything on one machine over plain HTTP on loopback, as `make up` runs it."""

from portal.settings.base import *  # noqa: F403

DEPLOYMENT = "trial"
