"""Everything under `/account/`. Of allauth only the pages that are dressed here: one that is not
listed cannot be reached."""

from __future__ import annotations

from allauth.account.views import LoginView, LogoutView
from django.urls import include, path

from apps.accounts import entrance, views

own = [
    path("", views.account, name="account"),
    path("preferences/", views.preferences, name="preferences"),
    path("tokens/", views.token_list, name="tokens"),
    path("tokens/<str:uid>/revoke/", views.token_revoke, name="token_revoke"),
    path("sign-out-everywhere/", views.signout_everywhere, name="signout_everywhere"),
    path("link/<str:secret>/", entrance.signin_link, name="signin_link"),
]
urlpatterns = [
    path("login/", LoginView.as_view(), name="account_login"),
    path("logout/", LogoutView.as_view(), name="account_logout"),
    path("password/change/", entrance.PasswordChange.as_view(), name="account_change_password"),
    path("", include((own, "accounts"))),
]
