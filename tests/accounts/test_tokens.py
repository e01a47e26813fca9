"""API tokens: what they open, for how long, and that their text is nowhere."""

from __future__ import annotations

import datetime as dt
import re
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from apps.accounts.models import ApiToken, AuditRow, User
from apps.accounts.services import people, tokens
from apps.accounts.services.tokens import TokenRequest, create_token, principal_of, revoke_token
from apps.live.errors import DomainError, Forbidden, NotFound
from tests.cast import Cast


def make(user: User, **request: object) -> str:
    return create_token(user, user=user, request=TokenRequest(**request))[1]  # type: ignore[arg-type]  # what each test names


def test_a_token_opens_what_its_scopes_say(owner: User) -> None:
    text = make(owner, scopes=["read"], days=1)
    principal = principal_of(text)
    assert principal is not None
    assert principal.user == owner
    assert principal.scopes == {"read"}
    assert re.fullmatch(r"gpc_[A-Za-z0-9_-]{43}", text)


def test_no_text_of_any_token_is_in_the_database(owner: User) -> None:
    text = make(owner, name="laptop")
    tokens.issue_workload_token(owner, "w" * 22)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
            " AND table_type = 'BASE TABLE'"
        )
        names = [name for (name,) in cursor.fetchall()]
        assert "accounts_apitoken" in names
        for name in names:
            cursor.execute(f'SELECT t::text FROM "{name}" t')
            rows = "\n".join(row for (row,) in cursor.fetchall())
            assert text not in rows, name
            assert text[8:] not in rows, name
            assert tokens.workload_token("w" * 22)[8:] not in rows, name


@pytest.mark.parametrize(
    "text", ["", "gpc_", "gpc_" + "a" * 43, "x" * 47, "gpc_" + "a" * 5000, "gpc_" + "ä" * 43]
)
def test_garbage_is_nobody(db: None, text: str) -> None:
    assert principal_of(text) is None


def test_an_expired_token_is_nobody(owner: User) -> None:
    text = make(owner)
    ApiToken.objects.update(expires_at=Now() - dt.timedelta(seconds=1))
    assert principal_of(text) is None


def test_a_revoked_token_is_nobody(owner: User) -> None:
    row, text = create_token(owner, user=owner, request=TokenRequest())
    revoke_token(owner, user=owner, uid=row.uid)
    assert principal_of(text) is None
    once = ApiToken.objects.get().revoked_at
    revoke_token(owner, user=owner, uid=row.uid)
    assert ApiToken.objects.get().revoked_at == once


def test_a_disabled_person_has_no_tokens(owner: User, admin: User) -> None:
    text, run = make(owner), tokens.issue_workload_token(owner, "w" * 22)
    people.disable(admin, user=owner)
    assert principal_of(text) is None
    assert principal_of(run) is None
    people.enable(admin, user=owner)
    assert principal_of(text) is None
    assert principal_of(run) is not None


def test_last_use_is_written_once_a_minute(owner: User) -> None:
    text = make(owner)
    principal_of(text)
    first = ApiToken.objects.get().last_used_at
    assert first is not None
    principal_of(text)
    assert ApiToken.objects.get().last_used_at == first
    ApiToken.objects.update(last_used_at=Now() - dt.timedelta(seconds=61))
    old = ApiToken.objects.get().last_used_at
    principal_of(text)
    now = ApiToken.objects.get().last_used_at
    assert old is not None
    assert now is not None
    assert now > old


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (TokenRequest(scopes=["admin"]), "scopes"),
        (TokenRequest(scopes=["agent"]), "scopes"),
        (TokenRequest(scopes=["everything"]), "scopes"),
        (TokenRequest(scopes=[]), "scopes"),
        (TokenRequest(days=0), "days"),
        (TokenRequest(days=366), "days"),
        (TokenRequest(name="x" * 81), "name"),
    ],
)
def test_what_a_student_cannot_have(owner: User, request_: TokenRequest, field: str) -> None:
    with pytest.raises(DomainError) as refusal:
        create_token(owner, user=owner, request=request_)
    assert list(refusal.value.fields) == [field]
    assert not ApiToken.objects.exists()


def test_scope_admin_ends_with_the_role(admin: User) -> None:
    text = make(admin, scopes=["read", "admin"])
    principal = principal_of(text)
    assert principal is not None
    assert principal.scopes == {"read", "admin"}
    User.objects.update(role="student")
    principal = principal_of(text)
    assert principal is not None
    assert principal.scopes == {"read"}


@pytest.mark.parametrize("actor", ["member", "stranger", "lead"])
def test_nobody_makes_or_revokes_tokens_of_others(cast: Cast, actor: str) -> None:
    row, text = create_token(cast.owner, user=cast.owner, request=TokenRequest())
    with pytest.raises(Forbidden):
        create_token(cast[actor], user=cast.owner, request=TokenRequest())
    with pytest.raises(NotFound):
        revoke_token(cast[actor], user=cast.owner, uid=row.uid)
    with pytest.raises(NotFound):
        revoke_token(cast[actor], user=cast[actor], uid=row.uid)
    assert principal_of(text) is not None


def test_the_workload_token_is_the_same_each_time_and_ends_once(owner: User) -> None:
    uid = "w" * 22
    text = tokens.issue_workload_token(owner, uid)
    assert text == tokens.issue_workload_token(owner, uid) == tokens.workload_token(uid)
    assert text != tokens.workload_token("v" * 22)
    assert len(text) == tokens.TEXT_LENGTH
    principal = principal_of(text)
    assert principal is not None
    assert principal.scopes == {"agent"}
    assert principal.workload_uid == uid
    assert tokens.revoke_workload_tokens(uid) == 1
    assert tokens.revoke_workload_tokens(uid) == 0
    assert principal_of(tokens.issue_workload_token(owner, uid)) is None


def test_revoking_the_tokens_of_no_workload_revokes_nothing(owner: User) -> None:
    text = make(owner)
    assert tokens.revoke_workload_tokens("") == 0
    assert principal_of(text) is not None


def test_making_and_revoking_are_in_the_audit_rows(owner: User) -> None:
    row, _text = create_token(owner, user=owner, request=TokenRequest(name="laptop"))
    revoke_token(owner, user=owner, uid=row.uid)
    rows = list(AuditRow.objects.order_by("id"))
    assert [audit.action for audit in rows] == ["token.create", "token.revoke"]
    assert {audit.target_uid for audit in rows} == {row.uid}


def command(*args: object) -> str:
    out = StringIO()
    call_command("token", *args, stdout=out)
    return out.getvalue()


def test_the_command_prints_the_token_and_nothing_else(owner: User) -> None:
    text = command("STUDENT", "--scopes", "read, jobs", "--days", "365")
    assert re.fullmatch(r"gpc_[A-Za-z0-9_-]{43}\n", text)
    principal = principal_of(text.strip())
    assert principal is not None
    assert principal.user == owner
    assert principal.scopes == {"read", "jobs"}


def test_the_command_has_defaults(owner: User) -> None:
    principal = principal_of(command("student").strip())
    assert principal is not None
    assert principal.scopes == {"read", "workspaces", "jobs"}
    assert (principal.token.expires_at - principal.token.created_at).days == 30


@pytest.mark.parametrize(
    "args",
    [
        ("nobody",),
        ("student", "--days", "366"),
        ("student", "--days", "0"),
        ("student", "--scopes", "root"),
        ("student", "--scopes", ""),
    ],
)
def test_the_command_refuses_with_exit_2(owner: User, args: tuple[str, ...]) -> None:
    with pytest.raises(CommandError) as refusal:
        command(*args)
    assert refusal.value.returncode == 2
    assert str(refusal.value)


def test_only_the_digest_goes_to_the_database(owner: User) -> None:
    text = make(owner)
    with CaptureQueriesContext(connection) as queries:
        assert principal_of(text) is not None
    said = " ".join(query["sql"] for query in queries.captured_queries)
    assert tokens.digest_of(text) in said
    assert text not in said
    assert len(queries) <= 2
