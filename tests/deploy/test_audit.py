"""`make audit`, with a stand-in for pip-audit: what it found, or that it could not ask, is a sentence."""

from pathlib import Path

import pytest

from deploy import audit

FOUND = '{"dependencies": [{"name": "a", "version": "1", "vulns": [%s]}, {"name": "b", "version": "2", "vulns": []}]}'
WEAK = '{"id": "CVE-1", "fix_versions": ["1.1"]}, {"id": "CVE-2", "fix_versions": []}'


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "constraints.txt").write_text("a==1\n")
    (tmp_path / "deploy" / "lock").mkdir(parents=True)
    (tmp_path / "deploy" / "lock" / "serve.txt").write_text("a==1 --hash=sha256:00\n")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return tmp_path


def stands_in(root: Path, body: str) -> None:
    (root / "pip-audit").write_text(f"#!/bin/sh\n{body}\n")
    (root / "pip-audit").chmod(0o755)


def test_nothing_found_is_one_line(root, capsys):
    stands_in(root, f"echo '{FOUND % ''}'")
    assert audit.main(root) == 0
    assert capsys.readouterr().out == "No known weakness in 2 locks.\n"


def test_a_weakness_is_named_with_the_version_that_mends_it(root, capsys):
    stands_in(root, f"echo '{FOUND % WEAK}'; exit 1")
    assert audit.main(root) == 1
    said = capsys.readouterr().err
    assert "constraints.txt: a 1 has CVE-1; mended in 1.1." in said
    assert "deploy/lock/serve.txt: a 1 has CVE-2; no version mends it yet." in said


def test_that_nobody_could_be_asked_is_no_clean_bill(root, capsys):
    stands_in(root, "echo 'ERROR:pip_audit._cli:a: not found on PyPI (1)' >&2; exit 1")
    assert audit.main(root) == 1
    assert "constraints.txt was not judged, for pypi.org could not be asked" in capsys.readouterr().err
