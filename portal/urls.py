"""All addresses of the portal."""

from django.urls import URLPattern, URLResolver, include, path

from portal.exposition import metrics
from portal.health import livez, readyz

urlpatterns: list[URLPattern | URLResolver] = [
    path("account/", include("apps.accounts.urls")),
    path("agent/v1/", include("apps.clusters.agent.urls")),
    path("api/", include("apps.api.urls")),
    path("livez", livez, name="livez"),
    path("readyz", readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
    path("", include("apps.workspaces.urls")),
]
handler429 = "apps.accounts.entrance.too_many_requests"
handler400 = "portal.errors.bad_request"
handler403 = "portal.errors.permission_denied"
handler404 = "portal.errors.page_not_found"
handler500 = "portal.errors.server_error"
