"""The environment is made from the lock, as the machine's pip is set up."""

from pathlib import Path

import pytest

from deploy.trial import installation
from deploy.trial.installation import InstallError, pin_of, uv_environment


def test_the_lock_pins_uv_by_hash() -> None:
    pinned = pin_of("uv", installation.LOCK)
    lines = pinned.splitlines()
    assert lines[0].startswith("uv==")
    assert len(lines) > 2
    assert all("--hash=sha256:" in line for line in lines[1:])
    assert not lines[-1].endswith("\\")


def test_a_package_that_is_not_pinned_is_named() -> None:
    with pytest.raises(InstallError, match="does not pin nothing-like-it"):
        pin_of("nothing-like-it", installation.LOCK)


def test_uv_is_told_what_pip_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SSL_CERT_FILE", "UV_DEFAULT_INDEX", "UV_INDEX", "UV_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    pip = {
        "index-url": "https://index.example/simple",
        "extra-index-url": "https://one.example\nhttps://two.example",
        "find-links": "/wheels /more",
        "cert": "/etc/ssl/ours.pem",
    }
    found = uv_environment(pip, tmp_path)
    assert found["UV_DEFAULT_INDEX"] == "https://index.example/simple"
    assert found["UV_INDEX"] == "https://one.example https://two.example"
    assert found["UV_FIND_LINKS"] == "/wheels,/more"
    assert found["SSL_CERT_FILE"] == "/etc/ssl/ours.pem"
    assert found["UV_CACHE_DIR"] == str(tmp_path / "uv")


def test_what_is_set_for_uv_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_INDEX", "https://mine.example")
    assert uv_environment({"extra-index-url": "https://x"}, tmp_path)["UV_INDEX"] == (
        "https://mine.example"
    )


def test_it_works_without_a_cache(tmp_path: Path) -> None:
    blocked = tmp_path / "cache"
    blocked.write_text("in the way")
    found = uv_environment({}, blocked)
    assert found["UV_NO_CACHE"] == "1"
    assert "UV_CACHE_DIR" not in found


def test_both_locks_agree_on_every_version() -> None:
    def versions(lock: Path) -> set[str]:
        lines = lock.read_text().splitlines()
        return {line.rstrip(" \\") for line in lines if "==" in line and not line.startswith(" ")}

    assert versions(installation.LOCK) <= versions(installation.DEV_LOCK)
