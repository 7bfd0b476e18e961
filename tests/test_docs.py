"""What is written is true: links lead somewhere, everything that exists is described, and nothing else is.

These tests read what Quarto is given. What it makes of that is checked by `docs/check.py` where the site is built.
"""

import ast
import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from os.path import normpath
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import nbformat
import pytest
import yaml

from docs import build
from docs.made import MADE
from docs.names import DIRECTIVE, NBS, ROOT, directives, html_name, modules, names, notebooks, pages_of_modules
from docs.pages import (
    FOLDERS,
    LINK,
    OURS,
    apart_from,
    figure_html,
    module_of,
    outside_code,
    page_of,
    slug,
    title_of,
    with_alt,
)

NOTEBOOKS = notebooks()
TEXTS = sorted(ROOT.glob("*.md"))
by_path = {"ids": lambda p: str(p.relative_to(ROOT))}
HEADING = re.compile(r"^(#{1,6})\s+(.+?)\s*(?:\{#([\w.-]+)[^}]*\})?\s*$", re.M)
AMERICAN = re.compile(
    r"\b(behaviors?|colors?|colored|gr[a]y|center(ed)?|analy[z]e[ds]?|labeled|labeling|modeling|neighbors?|favorites?"
    r"|normaliz\w+|optimiz\w+|recogniz\w+|organiz\w+|summariz\w+|serializ\w+|utiliz\w+|initializ\w+|canceled)\b",
    re.I,
)


@cache
def read(path: Path) -> Any:
    return nbformat.read(path, 4)


@cache
def page(path: Path) -> Any:
    return page_of(path)


def prose_of(path: Path) -> Iterator[str]:
    "What a person wrote in a notebook or a Markdown file, without code blocks."
    cells = [c.source for c in read(path).cells if c.cell_type == "markdown"] if path.suffix == ".ipynb" else None
    for text in cells if cells is not None else [path.read_text(encoding="utf-8")]:
        yield "".join(part for is_prose, part in outside_code(text) if is_prose)


@cache
def anchor_list(path: Path) -> list[str]:
    "Where a link into the page of a notebook, or into a text, may lead; twice what is there twice."
    texts = [c.source for c in page(path).cells if c.cell_type == "markdown"] if path.suffix == ".ipynb" else []
    found = list[str]()
    for text in texts or prose_of(path):
        prose = "".join(part for is_prose, part in outside_code(text) if is_prose)
        found += [slug(title) for _, title, given in HEADING.findall(prose) if not given]
        found += re.findall(r"\{#([\w.-]+)", prose)
    return found


def anchors(path: Path) -> set[str]:
    return set(anchor_list(path))


# ---- pages -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", NOTEBOOKS, **by_path)
def test_a_page_has_a_title_and_a_promise(path):
    title, promise = title_of(read(path))
    assert title
    assert promise.endswith((".", "?")), "the promise is the line behind '> '"


@pytest.mark.parametrize("path", NOTEBOOKS, **by_path)
def test_a_page_is_a_notebook_that_quarto_can_read(path):
    nbformat.validate(page(path))
    front = page(path).cells[0]
    assert front.cell_type == "raw"
    matter = yaml.safe_load(front.source.strip("-\n"))
    assert matter["output-file"] == Path(html_name(path)).name
    for cell in page(path).cells:
        if cell.cell_type == "code":
            ours = [m[1] for line in cell.source.splitlines() if (m := DIRECTIVE.match(line)) and m[1] in OURS]
            assert not ours
            assert "hide" not in directives(cell.source)


@pytest.mark.parametrize("path", NOTEBOOKS, **by_path)
def test_nothing_a_person_wrote_is_lost_on_the_page(path):
    words = {w for text in prose_of(path) for w in re.findall(r"\w{4,}", re.sub(r"\([^)\s]*\)", "", text))}
    shown = " ".join(c.source for c in page(path).cells if c.cell_type != "code")
    assert not {w for w in words if w not in shown}


@pytest.mark.parametrize("path", NOTEBOOKS, **by_path)
def test_what_quarto_is_given_loads_nothing_from_elsewhere(path):
    for cell in page(path).cells:
        texts = [cell.source] if cell.cell_type == "markdown" else []
        texts += ["".join(o.get("data", {}).get("text/markdown", "")) for o in cell.get("outputs", [])]
        for text in texts:
            assert not re.search(r"<(script|link|img|iframe)[^>]+(src|href)=.https?:", text)
            assert not re.search(r"!\[[^\]]*\]\(https?:", text)


@pytest.mark.parametrize("path", NOTEBOOKS, **by_path)
def test_quarto_is_given_no_output_for_which_it_adds_scripts_from_a_cdn(path):
    kinds = {kind for cell in page(path).cells for o in cell.get("outputs", []) for kind in o.get("data", {})}
    assert kinds <= {"text/plain", "text/markdown"}


@pytest.mark.parametrize("path", NOTEBOOKS, **by_path)
def test_a_lesson_shows_no_warning(path):
    heard = [o.text for c in read(path).cells for o in c.get("outputs", []) if o.get("name") == "stderr"]
    assert not [text for text in heard if "arning" in text or "WARNING" in text]


@pytest.mark.parametrize("path", NOTEBOOKS, **by_path)
def test_an_output_names_no_folder_of_the_machine_that_ran_it(path):
    outputs = json.dumps([c.get("outputs", []) for c in read(path).cells])
    assert not re.findall(r"(?<![\w.…])/[\w./-]+/(?:nbs|iris_nb|serve|\.venv)/", outputs)


@pytest.mark.parametrize("path", [*NOTEBOOKS, *TEXTS], **by_path)
def test_the_spelling_is_british(path):
    for text in prose_of(path):
        plain = re.sub(r"`[^`]*`|\]\([^)]*\)|https?://\S+", "", text)
        assert not [m[0] for m in AMERICAN.finditer(plain)]


def test_two_pages_never_share_an_address():
    addresses = [html_name(p.relative_to(NBS)) for p in NOTEBOOKS]
    assert len(set(addresses)) == len(addresses)


def test_an_image_that_is_a_paragraph_gets_its_text_as_alt():
    assert with_alt("![The `log`](a.png)") == '![The `log`](a.png){fig-alt="The log"}'
    assert with_alt("[![The log](a.png)](b.html)") == "[![The log](a.png)](b.html)"


def test_a_figure_says_its_headline_as_text_and_to_a_screen_reader():
    layout = {"title": {"text": "5 < 6<br>people"}, "meta": "5 < 6 people", "margin": {"t": 90, "l": 1}}
    made = figure_html({"data": [], "layout": layout}, "f")
    assert '<p class="figure-headline">5 &lt; 6 people</p>' in made
    assert 'role="img" aria-label="5 &lt; 6 people"' in made
    assert '"title"' not in made


# ---- names -------------------------------------------------------------------------------------------------------


def test_every_module_has_a_page():
    assert set(modules()) == set(pages_of_modules())


@pytest.mark.parametrize("module", modules())
def test_every_exported_name_is_documented(module):
    assert not [n.short for n in names().values() if n.module == module and "." not in n.short and not n.doc]


@pytest.mark.parametrize("path", [p for p in NOTEBOOKS if p.parent.name == "api"], **by_path)
def test_every_exported_name_has_its_heading(path):
    module, found = module_of(read(path)), set()
    for cell in page(path).cells:
        for _, _, given in HEADING.findall(cell.source) if cell.cell_type == "markdown" else []:
            if given and ".api" in cell.source:
                found.add(given)
    assert {n.anchor for n in names().values() if n.module == module} == found


def test_the_link_to_the_source_leads_to_the_definition():
    name = names()["schema.fault_of"]
    line = (ROOT / "iris_nb/schema.py").read_text().splitlines()[name.line - 1]
    assert line.startswith("def fault_of(")
    assert name.source.endswith(f"iris_nb/schema.py#L{name.line}")


@pytest.mark.parametrize("path", NOTEBOOKS, **by_path)
def test_a_name_shares_its_anchor_with_no_heading_of_its_page(path):
    of_names = [n.anchor for n in names().values() if n.module == module_of(read(path))]
    shared = [a for a, n in Counter(anchor_list(path)).items() if n > 1 and a in of_names]
    assert not shared


def test_a_heading_that_would_take_the_anchor_of_a_name_gets_another():
    assert apart_from({"train"}, "## Train\n\n## Other") == "## Train {#about-train}\n\n## Other"
    assert apart_from({"train"}, "```\n# train\n```\n") == "```\n# train\n```\n"


# ---- links -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*NOTEBOOKS, *TEXTS], **by_path)
def test_every_link_leads_somewhere(path):
    broken = []
    for text in prose_of(path):
        for image, label, target in LINK.findall(text):
            file, _, anchor = unquote(target).partition("#")
            if re.match(r"(https?|mailto):", target):
                continue
            there = Path(normpath(path.parent / file)) if file else path
            if not there.exists() or not there.is_relative_to(ROOT):
                broken.append(f"{target}: there is no such file")
            elif anchor and there.suffix in (".ipynb", ".md") and anchor not in anchors(there):
                broken.append(f"{target}: there is no such heading")
            if image and len(label) < 10:
                broken.append(f"{target}: say what the picture shows")
    assert not broken


@pytest.mark.parametrize("path", NOTEBOOKS, **by_path)
def test_every_link_of_a_page_leads_somewhere(path):
    "The links that pages.py makes: to names, and to the repository."
    pages = {html_name(p.relative_to(NBS)): p for p in NOTEBOOKS}
    here, broken = html_name(path.relative_to(NBS)), []
    about = re.compile(rf"{re.escape(build.settings()['git_url'])}/(?:blob|tree)/[^/]+/([^#]+)")
    for cell in page(path).cells:
        parts = outside_code(cell.source) if cell.cell_type == "markdown" else []
        for _, _, target in LINK.findall("".join(part for is_prose, part in parts if is_prose)):
            if (found := about.match(target)) and not (ROOT / found[1]).exists():
                broken.append(target)
            file, _, anchor = target.partition("#")
            if re.match(r"[a-z]+:", target):
                continue
            if file and not file.endswith(".html"):
                there = Path(normpath(path.parent / file)).relative_to(NBS)
                broken += [] if there.suffix == ".ipynb" or there.parts[0] in FOLDERS else [target]
                continue
            there = pages.get(normpath(f"{Path(here).parent}/{file}") if file else here)
            if there is None or (anchor and anchor not in anchors(there)):
                broken.append(target)
    assert not broken


# ---- the site ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site() -> dict:
    return yaml.safe_load((ROOT / "_quarto.yml").read_text())


def hrefs(contents: list) -> Iterator[str]:
    for entry in contents:
        if isinstance(entry, str):
            yield entry
        else:
            yield from [entry["href"]] if "href" in entry else []
            yield from hrefs(entry.get("contents", []))


def test_every_notebook_is_in_the_sidebar_once(site):
    listed = sorted(hrefs(site["website"]["sidebar"]["contents"]))
    assert listed == sorted([*(p.relative_to(NBS).as_posix() for p in NOTEBOOKS), *MADE])


def test_the_sidebar_is_the_architecture(site):
    sections = [entry["section"] for entry in site["website"]["sidebar"]["contents"] if "section" in entry]
    assert sections == ["Guides", "Pipeline", "Library", "Service", "Dashboard"]


def test_nbdev_finds_the_sites_description_where_it_looks():
    assert (NBS / "_quarto.yml").readlink() == Path("../_quarto.yml")


def test_the_site_has_all_its_files_and_asks_nobody_for_more(site, tmp_path):
    build.write_pages(tmp_path / "pages")
    website, themes = site["website"], site["format"]["html"]["theme"]
    styles = {style for theme in themes.values() for style in theme if style.endswith(".scss")}
    for name in (website["favicon"], website["image"], "404.qmd", "_quarto.yml", "nbdev.yml", *styles):
        assert (tmp_path / "pages" / name).is_file(), name
    assert f"Version {build.settings()['version']}, built " in (tmp_path / "pages/_quarto.yml").read_text()
    for name in styles:
        assert "http" not in (NBS / name).read_text()
    assert "$web-font-path: false" in (NBS / "site/site.scss").read_text()
    assert "mathml" in site["format"]["html"]["html-math-method"]
    assert yaml.safe_load((tmp_path / "pages/nbdev.yml").read_text())["project"]["output-dir"] == "_docs"


def test_the_page_for_lost_readers_leads_back(site):
    targets = re.findall(r"\]\(/([^)]+)\)", (NBS / "404.qmd").read_text())
    assert targets
    assert set(targets) <= {html_name(p.relative_to(NBS)) for p in NOTEBOOKS}


def test_without_quarto_one_sentence_says_what_to_install(monkeypatch, capsys, tmp_path):
    failed = subprocess.CompletedProcess([], 1)
    monkeypatch.setattr(build, "PROC", tmp_path / "pages")
    monkeypatch.setattr(build.shutil, "which", lambda _: None)
    monkeypatch.setattr(build.subprocess, "run", lambda *_, **__: failed)
    monkeypatch.setattr("sys.argv", ["build"])
    assert build.main() == 1
    said = capsys.readouterr().err
    assert "https://quarto.org/docs/download" in said
    assert len(said.splitlines()) == 1


# ---- what exists and what is described ---------------------------------------------------------------------------


GUIDES = [p for p in NOTEBOOKS if p.parent.name == "guides" or p.parent == NBS]


@cache
def described() -> str:
    "The README, the guides and what their cells print: tables made from the code count as well."
    outputs = [o for p in GUIDES for c in read(p).cells for o in c.get("outputs", [])]
    printed = [o.get("text", "") or o.get("data", {}).get("text/markdown", "") for o in outputs]
    return "\n".join([written(), *printed])


@cache
def written() -> str:
    "The README, the guides and the prose of all notebooks, as they were typed."
    texts = [c.source for p in NOTEBOOKS for c in read(p).cells if c.cell_type == "markdown" or p in GUIDES]
    return "\n".join([*texts, *(p.read_text(encoding="utf-8") for p in TEXTS)])


@cache
def routes() -> set[tuple[str, str]]:
    "Every route that the OpenAPI document has, and the two that serve it."
    from serve.app import create_app
    from serve.routes.openapi import document
    from serve.settings import Settings

    paths = document(create_app(Settings()))["paths"]
    return {(method.upper(), path) for path, methods in paths.items() for method in methods} | {
        ("GET", "/docs"),
        ("GET", "/openapi.json"),
    }


@cache
def make_targets() -> set[str]:
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"^  make ([a-z-]+)", listed, re.M))


def verbs() -> set[str]:
    "Every command of iris-nb, groups' commands too: 'train', 'audit verify'."
    import click

    from iris_nb.cli import cli

    def walk(group: click.Group, before: str) -> Iterator[str]:
        context = click.Context(group)
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            if isinstance(command, click.Group):
                yield from walk(command, f"{before}{name} ")
            else:
                yield f"{before}{name}"

    return set(walk(cli, ""))


def constants(folder: str) -> set[str]:
    "Every IRIS_ variable that the Python code below a folder names as a value of its own."
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in (ROOT / folder).rglob("*.py")]
    texts = {n.value for tree in trees for n in ast.walk(tree) if isinstance(n, ast.Constant)}
    return {text for text in texts if isinstance(text, str) and re.fullmatch(r"IRIS_[A-Z_]+[A-Z]", text)}


@cache
def settings() -> set[str]:
    "Every IRIS_ variable that the service or the library reads."
    from dataclasses import fields

    from serve.settings import Settings

    return {f"IRIS_{f.name.upper()}" for f in fields(Settings)} | constants("iris_nb")


@cache
def variables() -> set[str]:
    "Those, and what scripts, tests and the deployment read; to hand a variable on is not to read it."
    files = [*(ROOT / "tests").rglob("*.py"), *(ROOT / "bench").rglob("*.py"), ROOT / ".ci/run", ROOT / "Dockerfile"]
    files += [p for p in (ROOT / "deploy").rglob("*") if p.is_file()]
    texts = [file.read_text(encoding="utf-8", errors="ignore") for file in files]
    read = r"""\$\{?(IRIS_[A-Z_]+[A-Z])\b|environ(?:\.get\(|\[)"(IRIS_[A-Z_]+[A-Z])\""""
    return settings() | {name for text in texts for found in re.findall(read, text) for name in found if name}


def undescribed(names: Iterable[str]) -> set[str]:
    "Those that no guide has: as words of their own, so that `make docs-check` does not stand for `make docs`."
    return {name for name in names if not re.search(rf"{re.escape(name)}(?![\w{{-]|/[\w{{])", described())}


def test_every_route_is_described():
    assert not undescribed(f"{method} {path}" for method, path in routes())


def test_every_route_that_is_described_exists():
    named = set(re.findall(r"\b(GET|POST|PUT|DELETE|PATCH) (/[\w/{}.-]*)", written()))
    assert not {(method, path) for method, path in named if (method, path.rstrip(".")) not in routes()}


def test_every_setting_is_described():
    assert not undescribed(settings())


def test_every_setting_that_is_described_exists():
    assert not set(re.findall(r"\bIRIS_[A-Z][A-Z_]*[A-Z]\b", written())) - variables()


def test_every_make_target_is_described():
    assert not undescribed(f"make {target}" for target in make_targets())


def test_every_make_target_that_is_described_exists():
    named = set(re.findall(r"(?:`|^|\$ |&& )make ([a-z][a-z-]+)\b", written(), re.M))
    assert not named - make_targets()


def test_every_verb_of_the_command_line_is_described():
    assert not undescribed(f"iris-nb {verb}" for verb in verbs())


def test_every_verb_that_is_described_exists():
    known = verbs()
    first = {verb.split()[0] for verb in known}
    named = set(re.findall(r"(?:`|^|\$ |&& |\")iris-nb ([a-z]+)((?: [a-z]+)?)", written(), re.M))
    groups = {verb.split()[0] for verb in known if " " in verb}
    wrong = {a for a, _ in named if a not in first}
    assert not wrong | {a + b for a, b in named if a in groups and b and a + b not in known}


def test_every_problem_that_the_service_can_answer_with_is_described():
    from serve.errors import TABLE

    reference = "".join(str(o) for c in read(NBS / "guides/rest_reference.ipynb").cells for o in c.get("outputs", []))
    assert not {rule.slug for rule in TABLE.values() if rule.slug not in reference}


def test_the_rest_reference_says_what_the_service_says_now():
    "The stored page is what its cells give today."
    nb = read(NBS / "guides/rest_reference.ipynb")
    space: dict[str, Any] = {"display": lambda *_: None}
    for cell in nb.cells:
        if cell.cell_type != "code":
            continue
        tree = ast.parse(cell.source)
        last = tree.body.pop() if cell.outputs and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, "rest_reference", "exec"), space)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), "rest_reference", "eval"), space)
            stored = "".join(cell.outputs[0].data["text/markdown"])
            assert value.data == stored, "run nbs/guides/rest_reference.ipynb again"


def test_the_readme_is_made_from_the_first_notebook(tmp_path):
    subprocess.run(["make", "readme", f"README={tmp_path / 'README.md'}", "READY="], cwd=ROOT, check=True)
    assert (tmp_path / "README.md").read_text() == (ROOT / "README.md").read_text(), "run `make readme`"


def accidents_of(name: str) -> list[str]:
    "Return the first column of the table of accidents that a guide shows."
    outputs = [o for cell in read(NBS / "guides" / f"{name}.ipynb").cells for o in cell.get("outputs", [])]
    texts = ["".join(output.get("data", {}).get("text/markdown", "")) for output in outputs]
    (table,) = [text for text in texts if text.startswith("| accident |")]
    return [line.split(" | ")[0] for line in table.splitlines()]


def test_operate_lists_every_accident_that_was_provoked():
    assert accidents_of("operate") == accidents_of("accidents")
