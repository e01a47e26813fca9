"""Building environments: by hash, once, and with words when it fails. From wheels made here."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from apps.catalog.environments import installers
from apps.catalog.environments.builder import (
    BuildError,
    BuildRequest,
    build,
    build_log,
    environment_dir,
    find_interpreter,
    is_built,
)
from apps.catalog.environments.locks import lock_digest, parts_of

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture(autouse=True)
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels, which is all that the installers may use."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for name in [key for key in os.environ if key.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture(params=["uv", "pip"])
def installer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "pip":
        monkeypatch.setattr(installers, "find_uv", lambda: None)
    return str(request.param)


def wheel(folder: Path, name: str, version: str = "1.0") -> str:
    """A wheel with one module; its lock line."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
    }
    rows = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
        rows.append(f"{path},sha256={digest.rstrip(b'=').decode()},{len(text)}")
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""])
    made = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(made, "w") as archive:
        for inner, text in files.items():
            archive.writestr(inner, text)
    checksum = hashlib.sha256(made.read_bytes()).hexdigest()
    return f"{name}=={version} \\\n    --hash=sha256:{checksum}\n"


def request_for(tmp_path: Path, lock: str, pip_args: tuple[str, ...] = ()) -> BuildRequest:
    digest = lock_digest(lock, pip_args, VERSION)
    return BuildRequest(tmp_path / "c" / "environments", digest, lock, VERSION, pip_args)


def imported(request: BuildRequest, module: str) -> str:
    python = environment_dir(request.root, request.digest) / "bin" / "python"
    code = f"import {module}; print({module}.VERSION)"
    return subprocess.run(
        [python, "-I", "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_what_is_locked_is_installed(tmp_path: Path, wheels: Path, installer: str) -> None:
    request = request_for(tmp_path, wheel(wheels, "alpha") + wheel(wheels, "beta", "2.0"))
    assert not is_built(request.root, request.digest)
    told: list[float] = []
    build(request, told.append)
    assert is_built(request.root, request.digest)
    assert (imported(request, "alpha"), imported(request, "beta")) == ("1.0", "2.0")
    assert told == sorted(told)
    assert told[-1] == 1.0
    folder = environment_dir(request.root, request.digest)
    files = [path for path in folder.rglob("*") if not path.is_symlink()]
    assert not [path for path in files if path.stat().st_mode & 0o022], "others could write"
    assert not [path for path in files if not path.stat().st_mode & 0o004], "others cannot read"
    assert list(folder.rglob("alpha.*.pyc")), "compiled, because nobody can do it later"


def test_a_wrong_hash_is_refused_with_the_log(tmp_path: Path, wheels: Path, installer: str) -> None:
    line = wheel(wheels, "alpha")
    wheel(wheels, "alpha")
    lock = line.rpartition("sha256:")[0] + "sha256:" + "0" * 64 + "\n"
    request = request_for(tmp_path, lock)
    with pytest.raises(BuildError) as failure:
        build(request)
    assert "hash" in failure.value.tail.lower()
    assert "hash" in build_log(request.root, request.digest).lower()
    assert not is_built(request.root, request.digest)
    assert not environment_dir(request.root, request.digest).exists()


def test_a_line_without_hash_comes_by_pip_args(tmp_path: Path, wheels: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    wheel(elsewhere, "gamma")
    lock = wheel(wheels, "alpha") + "gamma==1.0\n"
    request = request_for(tmp_path, lock, ("--find-links", str(elsewhere)))
    build(request)
    assert (imported(request, "alpha"), imported(request, "gamma")) == ("1.0", "1.0")


def test_two_builds_at_once_make_one(
    tmp_path: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = request_for(tmp_path, wheel(wheels, "alpha"))
    made: list[object] = []
    real = installers.create_step

    def counted(target: installers.Target) -> installers.Step:
        made.append(target)
        return real(target)

    monkeypatch.setattr("apps.catalog.environments.builder.create_step", counted)
    threads = [threading.Thread(target=build, args=(request,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert imported(request, "alpha") == "1.0"


def test_half_an_environment_is_made_anew(tmp_path: Path, wheels: Path) -> None:
    request = request_for(tmp_path, wheel(wheels, "alpha"))
    folder = environment_dir(request.root, request.digest)
    folder.mkdir(parents=True)
    (folder / "rest").write_text("of a build that was killed")
    build(request)
    assert not (folder / "rest").exists()
    assert is_built(request.root, request.digest)
    (folder / "bin" / "python").unlink()
    assert not is_built(request.root, request.digest), "its interpreter has gone"


def test_a_python_that_is_not_here_is_named(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"needs Python 3\.99"):
        find_interpreter("3.99")
    assert Path(find_interpreter(VERSION)).exists()


def test_the_digest_names_the_content_alone() -> None:
    lock = "b==1 \\\n  --hash=sha256:11\na==2 --hash=sha256:22\n"
    same = "# about b\na==2   --hash=sha256:22\n\nb==1 --hash=sha256:11  # via c\n"
    digest = lock_digest(lock, (), "3.11")
    assert digest == lock_digest(same, (), "3.11")
    assert digest.startswith("sha256:")
    others = [
        lock_digest(lock.replace("b==1", "b==3"), (), "3.11"),
        lock_digest(lock, ("--no-index",), "3.11"),
        lock_digest(lock, (), "3.12"),
    ]
    assert len({digest, *others}) == 4
    assert parts_of("a==1 --hash=sha256:1\nb==2\n").unhashed == ("b==2",)


@pytest.mark.parametrize("digest", ["", "sha256:x", "sha256:" + "a" * 63, "../" + "a" * 64])
def test_a_folder_is_named_by_a_digest_only(tmp_path: Path, digest: str) -> None:
    with pytest.raises(ValueError, match="not a digest"):
        environment_dir(tmp_path, digest)


def test_the_portals_secrets_do_not_reach_the_installers(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = ("PORTAL_SECRET_KEY", "TRIAL_DATABASE_PASSWORD", "AWS_SECRET_ACCESS_KEY")
    settings = ("PATH", "HOME", "UV_INDEX", "PIP_INDEX_URL", "SSL_CERT_FILE", "https_proxy")
    for name in (*secrets, *settings):
        monkeypatch.setenv(name, "/x")
    plain = installers.plain_environment()
    for found in (plain, installers.uv_environment(Path("/nowhere"))):
        assert not set(secrets) & set(found)
        assert set(settings) <= set(found)
