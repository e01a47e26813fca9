"""Where `next` may lead, whatever is put there."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from apps.accounts.redirects import own_path

HERE = "http://localhost:8000/account/login/"
TRICKY = st.text(alphabet="/\\:@?#.%ehtps\t\r\n \x00abc[]", max_size=30)


@pytest.mark.parametrize(
    "path", ["/", "/workspaces/abc/", "/workspaces/?a=b&c=//d", "/a#b", "/%2F%2Fevil.example"]
)
def test_paths_of_ours_are_kept(path: str) -> None:
    assert own_path(path) == path


@given(TRICKY | st.text(max_size=60))
@example("//evil.example")
@example("/\\evil.example")
@example("/\n/evil.example")
@example("https:/evil.example")
def test_whatever_is_kept_stays_here(target: str) -> None:
    kept = own_path(target)
    if kept is None:
        return
    # Browsers drop tabs and line breaks and read a backslash as a slash.
    read = "".join(char for char in kept if char not in "\t\r\n").replace("\\", "/")
    parts = urlsplit(urljoin(HERE, read))
    assert (parts.scheme, parts.netloc) == ("http", "localhost:8000")


@pytest.mark.parametrize("target", [None, "", "account/", "?next=/", "#top"])
def test_nothing_and_relative_ones_are_not_kept(target: str | None) -> None:
    assert own_path(target) is None
