"""What people can type on the pages of workspaces. The services check again."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.live.errors import DomainError
from apps.live.uids import new_uid
from apps.workspaces.names import NAME_LENGTH, clean_name
from apps.workspaces.services.launching import KEY_LENGTH
from apps.workspaces.services.running import MAX_EXTEND_H
from apps.workspaces.types import LaunchRequest

SLUG_LENGTH = 63


class NameField(forms.CharField):
    """A workspace's name, as `names.clean_name` wants it."""

    def clean(self, value: object) -> str:
        text = str(super().clean(value))
        try:
            return clean_name(text)
        except DomainError as error:
            raise forms.ValidationError(str(error.message)) from error


class LaunchForm(forms.Form):
    """What to launch. `once` is made with the form: sent twice, it launches once."""

    name = NameField(
        label=_("Name"),
        required=False,
        max_length=NAME_LENGTH,
        help_text=_("Left empty, it gets the image's name and a number."),
    )
    image = forms.CharField(label=_("Image"), max_length=SLUG_LENGTH)
    ide = forms.CharField(label=_("IDE"), max_length=SLUG_LENGTH)
    size = forms.CharField(label=_("Size"), max_length=SLUG_LENGTH)
    once = forms.CharField(
        widget=forms.HiddenInput, required=False, max_length=KEY_LENGTH, initial=new_uid
    )

    def request(self) -> LaunchRequest:
        """What was asked for; only of a valid form."""
        data = self.cleaned_data
        return LaunchRequest(
            image=data["image"], app=data["ide"], size=data["size"], name=data["name"]
        )


class RenameForm(forms.Form):
    """Another name."""

    name = NameField(label=_("Name"), max_length=NAME_LENGTH)


class ExtendForm(forms.Form):
    """How much longer it may stay idle."""

    hours = forms.IntegerField(label=_("Hours"), min_value=1, max_value=MAX_EXTEND_H)


def take_refusal(form: forms.Form, error: DomainError) -> None:
    """Show a service's refusal on the form: at its fields, or above it with what would help."""
    named = {name: text for name, text in error.fields.items() if name in form.fields}
    for name, text in named.items():
        form.add_error(name, str(text))
    if not named:
        form.add_error(None, " ".join(str(text) for text in (error.message, error.hint) if text))
