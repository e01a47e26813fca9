"""The addresses of the dashboard and of everything about workspaces."""

from __future__ import annotations

from django.urls import path

from apps.workspaces.views import actions, details, entering, launching, lists, showcase

app_name = "workspaces"
urlpatterns = [
    path("", lists.dashboard, name="dashboard"),
    path("components/", showcase.components, name="components"),
    path("workspaces/", lists.workspace_list, name="list"),
    path("workspaces/new/", launching.new, name="new"),
    path("workspaces/<str:uid>/", details.detail, name="detail"),
    path("workspaces/<str:uid>/start/", actions.start, name="start"),
    path("workspaces/<str:uid>/stop/", actions.stop, name="stop"),
    path("workspaces/<str:uid>/extend/", actions.extend, name="extend"),
    path("workspaces/<str:uid>/rename/", details.rename, name="rename"),
    path("workspaces/<str:uid>/delete/", details.delete, name="delete"),
    path("workspaces/<str:uid>/enter/", entering.enter, name="enter"),
]
