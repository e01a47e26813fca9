"""The forms of the account pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.accounts import policies
from apps.accounts.models import Scope, User
from apps.accounts.preferences import LANGUAGE, THEME
from apps.accounts.services.tokens import (
    DEFAULT_DAYS,
    DEFAULT_SCOPES,
    MAX_DAYS,
    MAX_NAME,
    TokenRequest,
)

if TYPE_CHECKING:
    PersonForm = forms.ModelForm[User]
else:  # generic to the type checker only
    PersonForm = forms.ModelForm


class ProfileForm(PersonForm):
    """What people say about themselves."""

    class Meta:
        model = User
        fields: ClassVar = ["display_name", "email"]
        labels: ClassVar = {"display_name": _("Name"), "email": _("Mail address")}
        help_texts: ClassVar = {"display_name": _("How others see you. Left empty: your sign-in.")}


class PreferencesForm(forms.Form):
    """The look and the language, each on its own or both."""

    language = forms.ChoiceField(choices=[(c, c) for c in LANGUAGE.choices], required=False)
    theme = forms.ChoiceField(choices=[(c, c) for c in THEME.choices], required=False)


class TokenForm(forms.Form):
    """A token to make, for the person who looks at the page."""

    name = forms.CharField(
        label=_("Name"), max_length=MAX_NAME, help_text=_("What it is for, so that you know later.")
    )
    scopes = forms.MultipleChoiceField(
        label=_("It may"),
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": _("Choose at least one thing that the token may be used for.")},
    )
    days = forms.IntegerField(
        label=_("Days it lasts"), min_value=1, max_value=MAX_DAYS, initial=DEFAULT_DAYS
    )

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        allowed = policies.allowed_scopes(user)
        scopes = self.fields["scopes"]
        assert isinstance(scopes, forms.MultipleChoiceField)
        scopes.choices = [(scope.value, Scope(scope).label) for scope in allowed]
        scopes.initial = list(DEFAULT_SCOPES)

    def request(self) -> TokenRequest:
        """What was asked for; only after `is_valid`."""
        data = self.cleaned_data
        return TokenRequest(name=data["name"], scopes=data["scopes"], days=data["days"])
