"""Signed texts: what was signed comes back, nothing else does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.gate.tickets import (
    ENTRY_LIFETIME_S,
    Entry,
    Grant,
    TicketError,
    enter_location,
    enter_ticket,
    grant_ticket,
    read_entry,
    read_grant,
    session_digest,
    sign,
    verify,
)

KEY = "k" * 40
NOW = 1_800_000_000.0

texts = st.text(max_size=60)
grants = st.builds(
    Grant,
    person_id=st.integers(0, 2**62),
    epoch=st.integers(0, 2**31),
    session=texts,
    workspace=texts,
    run=texts,
    upstream=texts,
    began_at=st.integers(0, 2**40),
    expires_at=st.integers(int(NOW) + 1, 2**40),
)


@given(grant=grants)
def test_a_grant_comes_back_as_it_was(grant: Grant) -> None:
    assert read_grant(grant_ticket(grant, key=KEY), key=KEY, now=NOW) == grant


@given(grant=grants, position=st.integers(0, 10_000), letter=st.characters())
def test_a_changed_letter_is_noticed(grant: Grant, position: int, letter: str) -> None:
    text = grant_ticket(grant, key=KEY)
    at = position % len(text)
    changed = text[:at] + letter + text[at + 1 :]
    if changed == text:
        return
    with pytest.raises(TicketError):
        read_grant(changed, key=KEY, now=NOW)


@given(text=st.text(max_size=300))
def test_garbage_is_refused(text: str) -> None:
    for read in (read_grant, read_entry):
        with pytest.raises(TicketError):
            read(text, key=KEY, now=NOW)


@given(grant=grants)
def test_another_key_or_purpose_is_refused(grant: Grant) -> None:
    text = grant_ticket(grant, key=KEY)
    with pytest.raises(TicketError):
        read_grant(text, key=KEY + "x", now=NOW)
    with pytest.raises(TicketError):
        read_entry(text, key=KEY, now=NOW)


def test_a_ticket_expires_to_the_second() -> None:
    entry = Entry(1, "p", 1, session_digest("s"), "w" * 22, "/lab")
    text = enter_ticket(entry, key=KEY, now=NOW)
    read = read_entry(text, key=KEY, now=NOW + ENTRY_LIFETIME_S - 1)
    assert (read.person_id, read.next_path, read.workspace) == (1, "/lab", "w" * 22)
    assert read.nonce
    with pytest.raises(TicketError, match="expired"):
        read_entry(text, key=KEY, now=NOW + ENTRY_LIFETIME_S)


def test_two_tickets_are_never_the_same() -> None:
    entry = Entry(1, "p", 1, "s", "w")
    assert enter_ticket(entry, key=KEY, now=NOW) != enter_ticket(entry, key=KEY, now=NOW)


@pytest.mark.parametrize("payload", [{}, {"i": "x"}, {"i": None, "w": 1}])
def test_a_signed_text_of_another_shape_is_refused(payload: dict[str, object]) -> None:
    for purpose, read in (("grant", read_grant), ("enter", read_entry)):
        text = sign(payload, key=KEY, purpose=purpose, expires_at=NOW + 60)
        assert verify(text, key=KEY, purpose=purpose, now=NOW)["p"] == purpose
        with pytest.raises(TicketError):
            read(text, key=KEY, now=NOW)


def test_the_location_holds_the_ticket_and_nothing_else() -> None:
    assert enter_location("http://w-x.localhost/", "a.b") == (
        "http://w-x.localhost/_gate/enter?ticket=a.b"
    )
