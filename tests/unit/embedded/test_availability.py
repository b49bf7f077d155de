"""Where a platform lacks something, the message says what and what to do about it."""

import platform
import shutil

import pytest

from stream.embedded import java, triton_install
from stream.embedded.cache import InstallError


@pytest.mark.parametrize(("system", "machine"), [("Darwin", "arm64"), ("Linux", "aarch64"), ("Windows", "AMD64")])
def test_platform_without_a_triton_wheel_is_told(monkeypatch: pytest.MonkeyPatch, system: str, machine: str) -> None:
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    available, reason = triton_install.triton_available()
    assert not available
    assert f"{system} on {machine}" in reason
    with pytest.raises(InstallError, match=machine):
        triton_install.install_triton()


def test_python_without_a_stub_is_told_which_python_to_add(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", "2.36"))
    monkeypatch.setattr(triton_install, "_stub_python", lambda: None)
    available, reason = triton_install.triton_available()
    assert not available
    assert "uv python install 3.1" in reason


def test_machine_without_java_is_told_where_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(java.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(InstallError, match=r"tidemark\[embedded\]"):
        java.find_java()


def test_maven_gets_the_embedded_java_only_where_it_finds_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/java")
    assert "JAVA_HOME" not in java.maven_environment()
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert java.maven_environment()["JAVA_HOME"] == str(java.find_java().parent.parent)
