"""Where things are, and files that are whole or not there."""

import threading
from contextlib import chdir
from pathlib import Path

import pytest
from hypothesis import assume, example, given, settings
from hypothesis.strategies import characters, text

from iris_nb.audit.log import AuditLog
from iris_nb.config import ConfigError, atomic_write, home_folder, is_same_file, service_url
from iris_nb.examples import IRIS


def test_the_home_is_the_same_from_every_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("IRIS_HOME", raising=False)
    here = home_folder()
    with chdir(tmp_path):
        assert home_folder() == here


def test_a_relative_home_counts_from_the_folder_a_program_starts_in(tmp_path, monkeypatch):
    monkeypatch.setenv("IRIS_HOME", "things")
    with chdir(tmp_path):
        assert home_folder() == tmp_path / "things"


def test_asking_for_the_home_makes_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("IRIS_HOME", str(tmp_path / "none"))
    home_folder()
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("text", ["0", "65536", "-1", "1e3", "eighty", "٨٠٠٠", "80 80"])
def test_a_port_that_is_none_is_refused_by_the_name_of_its_variable(text, monkeypatch):
    monkeypatch.setenv("IRIS_PORT", text)
    monkeypatch.delenv("IRIS_URL", raising=False)
    with pytest.raises(ConfigError, match="IRIS_PORT must be a port"):
        service_url()


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    (tmp_path / "a").write_text("old")
    with pytest.raises(UnicodeEncodeError), atomic_write(tmp_path / "a") as part:
        part.write_text("half, and then what can't be written: \ud800")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a", "old")]


def test_a_link_stays_a_link_and_what_it_leads_to_is_replaced(tmp_path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    with atomic_write(tmp_path / "link") as part:
        part.write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_threads_that_write_at_once_leave_one_whole_file(tmp_path):
    def write(n: int) -> None:
        for _ in range(20):
            with atomic_write(tmp_path / "a") as part:
                part.write_text(str(n) * 10_000)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set((tmp_path / "a").read_text())) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


@settings(max_examples=25)
@given(name=text(characters(blacklist_characters="/\0", blacklist_categories=("Cs", "Cc")), min_size=1, max_size=40))
@example(name="what?")
@example(name="a%20b")
@example(name="100% größe #1 'q'")
def test_a_log_is_kept_in_the_home_whatever_it_is_called_or_the_name_is_refused(name, tmp_path_factory):
    assume(name not in (".", "..") and len(name.encode()) < 200)
    root = tmp_path_factory.mktemp("homes")
    try:
        home = home_folder(root / name)
    except ConfigError:
        assert "?" in name or "%" in name
        return
    home.mkdir()
    with chdir(root), AuditLog.open(f"sqlite:///{home / 'audit.db'}", IRIS):
        pass
    assert [p.name for p in root.iterdir()] == [home.name]
    assert (home / "audit.db").is_file()


def test_a_file_has_many_names(tmp_path):
    table = tmp_path / "table.csv"
    table.touch()
    (tmp_path / "soft.csv").symlink_to(table)
    (tmp_path / "hard.csv").hardlink_to(table)
    (tmp_path / "folder").symlink_to(tmp_path)
    names = [
        "table.csv",
        "./table.csv",
        "TABLE.csv",
        "soft.csv",
        "hard.csv",
        "folder/table.csv",
        f"../{tmp_path.name}/table.csv",
    ]
    with chdir(tmp_path):
        assert all(is_same_file(table, Path(name)) for name in names)
        assert not is_same_file(table, Path("other.csv"))
        assert is_same_file(Path("new.csv"), tmp_path / "folder" / "New.csv")  # neither exists
