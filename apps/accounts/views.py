"""The pages under `/account/` that are not signing in: profile, preferences, tokens."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts import selectors
from apps.accounts.forms import PreferencesForm, ProfileForm, TokenForm
from apps.accounts.models import ApiToken, Role, User
from apps.accounts.preferences import LANGUAGE, THEME, set_cookie
from apps.accounts.redirects import next_path
from apps.accounts.services import people, profiles, signin, tokens
from apps.live.errors import DomainError


def person_of(request: HttpRequest) -> User:
    """Who is signed in; only behind `login_required`."""
    assert isinstance(request.user, User)
    return request.user


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def account(request: HttpRequest) -> HttpResponse:
    """Profile, look, groups, and how one comes in; a POST saves the profile."""
    user = person_of(request)
    form = ProfileForm(request.POST or None, instance=User.objects.get(pk=user.pk))
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        profiles.change_profile(
            user, user=user, display_name=data["display_name"], email=data["email"]
        )
        messages.success(request, _("Your profile is saved."))
        return redirect("accounts:account")
    roles = selectors.roles_of(user)
    context = {
        "nav": "account",
        "profile_form": form,
        "groups": selectors.groups_of(user),
        "role_name": Role(roles[-1]).label,
        "has_password": user.has_usable_password(),
        "sessions": None,
        "token_count": selectors.live_token_count(user),
    }
    status = 422 if form.errors else 200
    return render(request, "account/overview.html", context, status=status)


@require_POST
def preferences(request: HttpRequest) -> HttpResponse:
    """Choose the language and the look, signed in or not; goes back to where the form was."""
    response = redirect(next_path(request, default="/"))
    form = PreferencesForm(request.POST)
    if not form.is_valid():
        return response
    chosen = {name: value for name, value in form.cleaned_data.items() if value}
    for preference in (LANGUAGE, THEME):
        if preference.field in chosen:
            set_cookie(response, preference, chosen[preference.field])
    if isinstance(request.user, User):
        profiles.set_preferences(request.user, **chosen)
    return response


@login_required
@require_POST
def signout_everywhere(request: HttpRequest) -> HttpResponse:
    """End all sessions of the person but this one."""
    user = person_of(request)
    signin.remember_epoch(request, people.sign_out_everywhere(user, user=user))
    messages.success(request, _("You are signed out everywhere else."))
    return redirect("accounts:account")


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def token_list(request: HttpRequest) -> HttpResponse:
    """The person's tokens; a POST makes one and shows its text in this one answer."""
    user = person_of(request)
    form = TokenForm(user, request.POST if request.method == "POST" else None)
    made: dict[str, str] = {}
    if request.method == "POST" and form.is_valid():
        try:
            token, text = tokens.create_token(user, user=user, request=form.request())
        except DomainError as error:
            for name, problem in (error.fields or {"name": error.message}).items():
                form.add_error(name if name in form.fields else None, str(problem))
        else:
            made = {"new_token": text, "new_token_name": token.name}
            form = TokenForm(user)
    context = {
        "nav": "account",
        "tokens": [token_row(token) for token in selectors.tokens_of(user)],
        "form": form,
        **made,
    }
    status = 422 if form.errors else 200
    return render(request, "account/tokens.html", context, status=status)


def token_row(token: ApiToken) -> dict[str, object]:
    """A token as its page shows it."""
    state = "live"
    if token.revoked_at is not None:
        state = "revoked"
    elif token.expires_at <= timezone.now():
        state = "expired"
    return {
        "uid": token.uid,
        "name": token.name,
        "prefix": token.prefix,
        "scopes": token.scopes,
        "created_at": token.created_at,
        "last_used_at": token.last_used_at,
        "expires_at": token.expires_at,
        "state": state,
    }


@login_required
@require_POST
def token_revoke(request: HttpRequest, uid: str) -> HttpResponse:
    """End a token at once."""
    user = person_of(request)
    token = tokens.revoke_token(user, user=user, uid=uid)
    messages.success(request, _("The token %(name)s is revoked.") % {"name": token.name})
    return redirect(next_path(request, default=reverse("accounts:tokens")))
