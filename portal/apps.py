"""The composition root as an app, so that its commands are found; it wires the others once."""

from django.apps import AppConfig


class PortalConfig(AppConfig):
    name = "portal"
    label = "portal"

    def ready(self) -> None:
        import portal.celery  # noqa: F401  # tasks are sent by the configured app
        from portal.wiring import connect

        connect()
