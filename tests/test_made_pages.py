"""Pages that no notebook has, and the site as Markdown."""

import re

import pytest
import yaml

from docs import made
from docs.check import check
from docs.made import MADE, NEEDED, as_markdown, gallery_page, llms_txt, names_page, plain, write_for_programs
from docs.names import NBS, ROOT, html_name, names, notebooks, pages_of_modules


@pytest.mark.parametrize("make", MADE.values())
def test_a_made_page_has_a_title_and_a_promise(make):
    matter = yaml.safe_load(make().split("---")[1])
    assert matter["title"]
    assert matter["description"].endswith(".")


def test_about_twenty_names_are_said_to_be_needed():
    assert 15 <= sum(map(len, NEEDED.values())) <= 22


def test_the_page_of_names_has_every_public_name_with_a_link_to_its_definition():
    text = names_page()
    for name in names().values():
        if "." not in name.short and name.module in pages_of_modules():
            assert f"[`{name.short}`]({pages_of_modules()[name.module]}#{name.anchor})" in text


def test_the_gallery_leads_to_pages_that_exist():
    targets = set(re.findall(r"\]\(([\w/]+\.html)", gallery_page()))
    assert targets
    assert targets <= {html_name(p.relative_to(NBS)) for p in notebooks()}


def test_the_gallery_shows_images_that_exist():
    for image in re.findall(r"\((images/[^)]+)\)", gallery_page()):
        assert (NBS / image).is_file()


def test_a_page_as_markdown_has_prose_code_and_answers_and_nothing_for_browsers():
    text = as_markdown(NBS / "api/04_charts.ipynb")
    assert text.startswith("# Charts\n\n> ")
    assert "```python\n" in text
    assert "*Figure: " in text
    for only_html in ("{=html}", "<script", "<details", ":::", "{#"):
        assert only_html not in text


def test_links_of_a_page_as_markdown_lead_to_markdown():
    assert plain("[a](../01_x.ipynb#b) [c](d.html) [e](https://f.org/g.html)") == (
        "[a](../x.md#b) [c](d.md) [e](https://f.org/g.html)"
    )


def test_the_list_for_programs_has_every_page_once_and_each_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(made, "as_markdown", lambda path: path.name)
    write_for_programs(tmp_path)
    listed = re.findall(r"\]\(https://[^/]+/iris_nb/([^)]+\.md)\): \S", llms_txt())
    assert sorted(listed) == sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.md"))
    assert len(listed) == len(notebooks())


def test_the_check_wants_the_made_pages_too(tmp_path):
    assert "names.html: there is no such page" in check(tmp_path)


def test_the_changelog_is_the_projects():
    assert (ROOT / "CHANGELOG.md").read_text().splitlines()[-1][:40] in MADE["changelog.qmd"]()
