"""`manage.py person USER`: makes or changes a person."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.accounts.management.refusals import refused
from apps.accounts.models import Role
from apps.accounts.selectors import get_user_by_username, groups_of, roles_of
from apps.accounts.services.people import PersonRequest, disable, enable, save_person
from apps.live.errors import DomainError


class Command(BaseCommand):
    help = "Make a person, or change one: role, group, name; disable and enable."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", help="the name to sign in with")
        parser.add_argument("--role", choices=Role.values)
        parser.add_argument("--group", help="a group to be in; made if it is not there")
        parser.add_argument("--name", help="how others see the person")
        parser.add_argument("--email")
        access = parser.add_mutually_exclusive_group()
        access.add_argument("--disable", action="store_true", help="keep out from now on")
        access.add_argument("--enable", action="store_true", help="let in again")

    def handle(self, *args: Any, **options: Any) -> None:
        request = PersonRequest(
            username=options["user"],
            display_name=options["name"],
            email=options["email"],
            role=options["role"],
            group=options["group"],
        )
        try:
            if options["disable"]:
                get_user_by_username(options["user"])
            user = save_person(None, person=request)
            if options["disable"]:
                user = disable(None, user=user)
            elif options["enable"]:
                user = enable(None, user=user)
        except DomainError as error:
            raise refused(error) from error
        groups = ",".join(group.slug for group in groups_of(user)) or "-"
        state = "active" if user.is_active else "disabled"
        roles = ",".join(roles_of(user))
        self.stdout.write(f"{user.username}  roles={roles}  groups={groups}  {state}")
