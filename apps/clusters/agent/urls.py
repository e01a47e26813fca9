"""Addresses of the agents' endpoints, below `/agent/v1/`."""

from django.urls import path

from apps.clusters.agent import views

urlpatterns = [
    path("activity", views.activity, name="agent-activity"),
    path("commands", views.commands, name="agent-commands"),
]
