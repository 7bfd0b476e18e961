"""Releases: one version, one date, one tag, or a sentence that says why not."""

import subprocess
from pathlib import Path

import pytest

from deploy import release

CHANGELOG = "# Changelog\n\n## 0.2.0 (unreleased)\n\nNews.\n\n## 0.1.0 (2026-01-01)\n\nThe first.\n"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in (("NAME", "A"), ("EMAIL", "a@example.org")):
        monkeypatch.setenv(f"GIT_AUTHOR_{name}", value)
        monkeypatch.setenv(f"GIT_COMMITTER_{name}", value)
    stand_in = tmp_path / "bin" / "nbdev-export"
    stand_in.parent.mkdir()
    stand_in.write_text("#!/bin/sh\ngrep '^version' settings.ini > exported\n")
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", str(stand_in.parent), prepend=":")
    root = tmp_path / "repository"
    root.mkdir()
    (root / "settings.ini").write_text("[DEFAULT]\nlib_name = x\nversion = 0.1.0\nmin_python = 3.11\n")
    (root / "iris_nb").mkdir()
    (root / "iris_nb/__init__.py").write_text('__version__ = "0.1.0"\n')
    (root / "CHANGELOG.md").write_text(CHANGELOG)
    (root / "exported").write_text("")
    for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "Start"]):
        subprocess.run(["git", *words], cwd=root, check=True)
    return root


def test_it_sets_the_version_dates_the_changelog_exports_and_tags(repository):
    release.release("0.2.0", repository, "2026-02-03")
    assert "\nversion = 0.2.0\nmin_python = 3.11\n" in (repository / "settings.ini").read_text()
    assert (repository / "iris_nb/__init__.py").read_text() == '__version__ = "0.2.0"\n'
    assert "## 0.2.0 (2026-02-03)" in (repository / "CHANGELOG.md").read_text()
    assert (repository / "exported").read_text() == "version = 0.2.0\n"
    assert release.git("tag", "--list", root=repository) == "v0.2.0"
    assert release.git("status", "--porcelain", root=repository) == ""


@pytest.mark.parametrize("version", ["2", "v1.0.0", "1.0", "one"])
def test_a_version_that_is_none_is_refused(repository, version):
    with pytest.raises(release.ReleaseError, match="is no version"):
        release.release(version, repository)


def test_a_changed_checkout_is_refused(repository):
    (repository / "new").write_text("")
    with pytest.raises(release.ReleaseError, match="not committed"):
        release.release("0.2.0", repository)


def test_a_version_is_released_once(repository):
    subprocess.run(["git", "tag", "v0.2.0"], cwd=repository, check=True)
    with pytest.raises(release.ReleaseError, match="already"):
        release.release("0.2.0", repository)


def test_a_release_without_news_is_refused(repository):
    (repository / "CHANGELOG.md").write_text("# Changelog\n")
    subprocess.run(["git", "commit", "--quiet", "--all", "-m", "No news"], cwd=repository, check=True)
    with pytest.raises(release.ReleaseError, match="unreleased"):
        release.release("0.2.0", repository)


def test_without_a_version_it_says_how_it_is_used(capsys):
    assert release.main([]) == 2
    assert "make release VERSION=" in capsys.readouterr().err
