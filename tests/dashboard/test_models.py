"""The models section of the page tells what every bundle on the shelf is."""

import shutil

import pytest

from iris_nb.bundle import point_champion, roll_back
from iris_nb.dashboard.models import shelf, shelf_table


@pytest.fixture
def root(tmp_path, make_bundle):
    for version in ("1", "2", "3"):
        make_bundle(tmp_path, version=version)
    return tmp_path


def roles(root):
    return {card.version: role for card, role in shelf(root)}


def test_without_a_champion_the_newest_is_the_challenger(root):
    assert sorted(roles(root).values()) == ["challenger", "not promoted", "not promoted"]


def test_a_champion_before_is_no_challenger(root):
    for version in ("1", "2"):
        point_champion(root, f"{shelf(root)[0][0].name}-{version}")
    known = roles(root)
    assert known["1"] == "earlier champion"
    assert known["2"] == "champion"


def test_after_a_roll_back_the_one_before_is_champion_again(root):
    for version in ("1", "2"):
        point_champion(root, f"{shelf(root)[0][0].name}-{version}")
    roll_back(root)
    assert roles(root)["1"] == "champion"


def test_a_broken_card_is_left_out(root):
    next(root.glob("*-2/card.json")).write_text("{")
    assert set(roles(root)) == {"1", "3"}


def test_a_shelf_that_is_gone_is_empty(root):
    shutil.rmtree(root)
    assert shelf(root) == []


def test_every_version_is_on_the_table(root):
    table = shelf_table(shelf(root))
    assert all(card.folder in table and role in table for card, role in shelf(root))
