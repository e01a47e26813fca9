"""All addresses of the portal."""

from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("account/", include("apps.accounts.urls")),
]
handler429 = "apps.accounts.entrance.too_many_requests"
