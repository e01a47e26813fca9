"""Addresses below `/api/`."""

from django.urls import path, re_path

from apps.api.documentation import documentation, nothing_here
from apps.api.router import api

urlpatterns = [
    path("docs", documentation, name="api-docs"),
    path("v1/", api.urls),
    re_path(r"", nothing_here),
]
