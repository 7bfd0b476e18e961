"""The notebooks as pages: what a reader of the site sees of each, made without running anything.

Quarto turns pages into HTML; this module turns notebooks into pages. It runs without Quarto, so that
tests can hold it. A page differs from its notebook in this:

- the title cell becomes front matter (title, description, name of the HTML file);
- each exported definition gets a heading, its docstring and a link to its source, in front of its code;
- names in backticks lead to those headings, and links out of `nbs/` to the repository;
- what is of no use to readers is left out: imports, hidden cells, nbdev's directives;
- figures are drawn by a plotly.js that the site brings along.

nbdev's own processor was tried instead (`nbdev-proc-nbs`, 3.3.26). It imports and runs what it documents, and ends with
a NameError at the first annotation that names a package which the function imports only when it is called
(`table.load_rows`); until then it had taken 5.8 s of processor time, where all pages take 0.8 s here.
"""

import ast
import html
import json
import re
from collections.abc import Iterator
from os.path import relpath
from pathlib import Path
from posixpath import normpath
from typing import Any

import nbformat
from nbformat.v4 import new_markdown_cell, new_raw_cell

from docs.names import (
    DIRECTIVE,
    NBS,
    ROOT,
    definitions,
    directives,
    html_name,
    named,
    names,
    pages_of_modules,
    repository,
)
from docs.reference import block, details, fenced, folded
from docs.shell import commands, sets_up

EXECUTED = ROOT / "_proc.executed"  # copies of the pipeline's notebooks with their outputs; see docs/executed.py
FOLDERS = ("images", "site")  # what the site has besides pages
PICTURES = {
    "dashboard/monitoring.ipynb": ("../images/dashboard.png", "The dashboard: four lights, then traffic and drift"),
}
OURS = {"default_exp", "export", "exports", "hide", "slow"}  # nbdev's; all others are Quarto's
TITLE = re.compile(r"\A# (?P<title>.+)\n+> (?P<promise>.+(?:\n> .+)*)(?P<rest>[\s\S]*)\Z")
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
NAME = re.compile(r"`([A-Za-z_][\w.]*)(\(\))?`")
HEADING = re.compile(r"^#{1,6} +(?P<title>.+?)(?P<given> *\{[^}]*\})?$", re.M)
IMAGE = re.compile(r"^!\[(?P<text>[^\n]+)\]\([^)\s]+\)$", re.M)  # a paragraph of its own
FENCE = re.compile(r"^(```|~~~)", re.M)
FOR_CHECKERS = re.compile(r"[ \t]*# (?:noqa|type: ignore)\b.*$", re.M)
ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
PLOTLY = "application/vnd.plotly.v1+json"


def without_ours(source: str) -> str:
    lines = source.splitlines()
    head = len(directives(source))
    kept = [line for line in lines[:head] if (m := DIRECTIVE.match(line)) and m[1].rstrip(":") not in OURS]
    return "\n".join([*kept, *lines[head:]]).strip("\n")


# ---- prose -------------------------------------------------------------------------------------------------------


def outside_code(text: str) -> Iterator[tuple[bool, str]]:
    "The text in pieces: whether it is prose, and the piece. Fenced blocks are not."
    prose, piece = True, list[str]()
    for line in text.splitlines(keepends=True):
        if FENCE.match(line):
            if prose:
                yield True, "".join(piece)
                piece = []
            piece.append(line)
            if not prose:
                yield False, "".join(piece)
                piece = []
            prose = not prose
        else:
            piece.append(line)
    yield prose, "".join(piece)


def with_links(text: str, page: Path, module: str | None, link_names: bool = True) -> str:
    "Prose of a page (its path below nbs/) with its links made right for the site."

    def link(m: re.Match[str]) -> str:
        image, label, target = m.groups()
        return f"{image}[{label}]({on_site(target, page)})"

    def name(m: re.Match[str]) -> str:
        found = named(m[1], module) if link_names else None
        if found is None or found.module not in pages_of_modules():
            return m[0]
        there = pages_of_modules()[found.module]
        here = html_name(page)
        target = "" if there == here else relpath(there, Path(here).parent)
        return f"[{m[0]}]({target}#{found.anchor})"

    def prose(part: str) -> str:
        # What stands in a heading or in a link already is left alone.
        kept = re.compile(rf"{LINK.pattern}|^#+ .*$|^\s*:::.*$", re.M)
        out, at = [], 0
        for m in kept.finditer(part):
            out += [NAME.sub(name, part[at : m.start()]), LINK.sub(link, m[0])]
            at = m.end()
        return "".join([*out, NAME.sub(name, part[at:])])

    return "".join(prose(part) if is_prose else part for is_prose, part in outside_code(text))


def on_site(target: str, page: Path) -> str:
    "A link of a page; one to a file that the site does not have leads to the code host."
    if re.match(r"[a-z]+:|#|/", target):
        return target
    path, _, anchor = target.partition("#")
    here = normpath(f"nbs/{page.parent.as_posix()}/{path}")
    if here.endswith(".ipynb") or here.startswith(tuple(f"nbs/{name}/" for name in FOLDERS)):
        return target
    return repository(here) + (f"#{anchor}" if anchor else "")


def with_alt(text: str) -> str:
    "Give an image that is a paragraph its text as alt, too: Quarto makes a caption of it and leaves the image without."

    def image(m: re.Match[str]) -> str:
        alt = re.sub(r"[`*\[\]]", "", m["text"]).replace('"', "'")
        return f'{m[0]}{{fig-alt="{alt}"}}'

    return "".join(IMAGE.sub(image, part) if prose else part for prose, part in outside_code(text))


def slug(heading: str) -> str:
    "Return the anchor that Pandoc gives a heading."
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").replace("*", "").lower()
    kept = re.sub(r"[^\w\s.-]", "", plain)
    return re.sub(r"^[^a-z]+", "", re.sub(r"\s+", "-", kept.strip()))


def apart_from(anchors: set[str], text: str) -> str:
    "Give a heading of prose whose anchor would be that of a name another one: the name's is what links mean."

    def heading(m: re.Match[str]) -> str:
        return m[0] if m["given"] or (own := slug(m["title"])) not in anchors else f"{m[0]} {{#about-{own}}}"

    return "".join(HEADING.sub(heading, part) if prose else part for prose, part in outside_code(text))


# ---- cells -------------------------------------------------------------------------------------------------------

Cell = Any  # nbformat's cells are untyped


def title_of(nb: Any) -> tuple[str, str]:
    "Title and promise of a notebook; raises ValueError where it has none."
    for cell in nb.cells:
        if cell.cell_type == "markdown" and cell.source.startswith("# "):
            if match := TITLE.match(cell.source):
                return match["title"].strip(), match["promise"].replace("\n> ", " ").strip()
            return cell.source.splitlines()[0][2:].strip(), ""
    raise ValueError("no cell begins with a title (# …)")


def front_matter(title: str, promise: str, page: Path) -> Cell:
    about = {"title": title, "description": promise, "output-file": Path(html_name(page)).name}
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in about.items() if value]
    return new_raw_cell("\n".join(["---", *lines, "---"]), id="front-matter")


def only_imports(body: list[ast.stmt]) -> bool:
    "Return whether code has imports alone, and nbdev's list of what else is public."
    others = [node for node in body if not isinstance(node, ast.Import | ast.ImportFrom)]
    return all(isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "_all_" for n in others)


def exported(cell: Cell, module: str) -> Iterator[Cell]:
    "An exporting cell as a page shows it: the reference of each name in it, and its code folded."
    source = without_ours(cell.source)
    body = ast.parse(source).body
    if only_imports(body):
        return
    source = FOR_CHECKERS.sub("", source)
    found = [names().get(f"{module}.{short}") for short, _ in definitions(body) if "." not in short]
    if shown := [name for name in found if name]:
        for name in shown:
            yield new_markdown_cell(block(name))
        yield new_markdown_cell(folded(source, [name.short for name in shown]), metadata={"made": True})
        if cell.outputs:
            cell.source = ""
            yield cell
    else:
        cell.source = f"#| classes: exported\n{source}"
        yield cell


def headline_of(figure: dict[str, Any]) -> str:
    "Return what a figure says, as one line."
    layout = figure.get("layout", {})
    return str(layout.get("meta") or layout.get("title", {}).get("text", "Figure")).replace("<br>", " ")


def figure_html(figure: dict[str, Any], id: str) -> str:
    """A figure that the page's plotly.js draws, with its headline as text.

    Text is wrapped to the screen, read aloud and found by search; the title in a picture is none of that.
    """
    layout = {**figure.get("layout", {})}
    layout.pop("title", None)
    headline = html.escape(headline_of(figure))
    layout["margin"] = {**layout.get("margin", {}), "t": 36 if layout.get("showlegend") else 12}
    parts = [json.dumps(part).replace("</", "<\\/") for part in (figure.get("data", []), layout)]
    call = f'Plotly.newPlot("{id}", {", ".join(parts)}, {{"responsive": true, "displayModeBar": false}})'
    drawing = f'<div id="{id}" class="figure-plotly" role="img" aria-label="{headline}"></div>'
    return f'<p class="figure-headline">{headline}</p>\n{drawing}\n<script>{call}</script>'


def drawn(output: Any, id: str) -> Any:
    "An output as HTML can show it."
    if "text" in output:
        output.text = ANSI.sub("", output.text)
    if figure := output.get("data", {}).get(PLOTLY):
        output.data = {"text/html": figure_html(figure, id)}
    return output


def as_block(output: Any) -> Any:
    """An HTML output as a raw block of Markdown.

    Where a notebook has an output of type text/html, Quarto adds RequireJS and jQuery from a CDN to its page.
    """
    if "text/html" in (data := output.get("data", {})):
        # A piece of another page may link to what only that page has.
        text = re.sub(r"""(<a\b[^>]*?)\shref=(["'])#.*?\2""", r"\1", "".join(data["text/html"]).strip("\n"))
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
        output.data = {"text/markdown": f"{fence}{{=html}}\n{text}\n{fence}"}
    return output


def module_line(module: str, page: Path) -> Cell:
    "Which module this page is."
    there, here = repository(f"iris_nb/{module.replace('.', '/')}.py"), repository(f"nbs/{page.as_posix()}")
    line = f"Module [`iris_nb.{module}`]({there}), exported from [{page.name}]({here})."
    return new_markdown_cell(f"[{line}]{{.module}}", id="module", metadata={"made": True})


def script(page: Path) -> Cell:
    "What brings plotly.js to a page with figures."
    source = relpath("site/plotly.min.js", page.parent)
    return new_markdown_cell(
        f'```{{=html}}\n<script src="{source}"></script>\n```', id="plotly", metadata={"made": True}
    )


def parsed(source: str) -> list[ast.stmt]:
    "Return the statements of a cell, none where it is not plain Python (a magic, say)."
    try:
        return ast.parse(source).body
    except SyntaxError:
        return []


def of_code(cell: Cell, module: str | None) -> Iterator[Cell]:
    found = directives(cell.source)
    if "hide" in found or "default_exp" in found or "hide" in cell.metadata.get("tags", []):
        return
    cell.outputs = [drawn(o, f"figure-{cell.id}-{i}") for i, o in enumerate(cell.outputs)]
    if "export" in found and module:
        yield from exported(cell, module)
        return
    cell.source = without_ours(cell.source)
    if not cell.outputs and (body := parsed(cell.source)) and only_imports(body):
        yield new_markdown_cell(details("Imports", fenced(cell.source)), metadata={"made": True})
        return
    if "stage" in cell.source:
        if command := commands(parsed(cell.source), cell.outputs):
            yield new_markdown_cell(f"```bash\n{command}\n```", metadata={"made": True})
            cell.source = f"#| echo: false\n{cell.source}"
        elif not cell.outputs and sets_up(parsed(cell.source)):
            yield new_markdown_cell(details("Set-up of the examples", fenced(cell.source)), metadata={"made": True})
            return
    prose = ["".join(o.data["text/markdown"]) for o in cell.outputs if "text/markdown" in o.get("data", {})]
    cell.outputs = [o for o in cell.outputs if "text/markdown" not in o.get("data", {})]
    cell.outputs = [as_block(o) for o in cell.outputs]
    yield cell
    for text in prose:  # as a cell of its own it is found by search and listed beside the page
        yield new_markdown_cell(text, metadata={"made": True})


def module_of(nb: Any) -> str | None:
    "The module that a notebook exports to."
    found = (directives(c.source).get("default_exp") for c in nb.cells if c.cell_type == "code")
    return next((module for module in found if module), None)


def read_notebook(path: Path) -> Any:
    "Return a notebook as it is shown: the copy that `make docs` ran of one that is stored without outputs."
    ran = EXECUTED / path.relative_to(NBS)
    return nbformat.read(ran if ran.is_file() else path, 4)


def picture(page: Path) -> list[Cell]:
    "Return a picture of the program that a page is about, where it cannot run on the site."
    if page.as_posix() not in PICTURES:
        return []
    file, alt = PICTURES[page.as_posix()]
    text = f"[![{alt}]({file})]({file})"
    return [new_markdown_cell(text, id="picture", metadata={"made": True})]


def page_of(path: Path) -> Any:
    "The page that a notebook becomes."
    nb, page = read_notebook(path), path.relative_to(NBS)
    module, (title, promise) = module_of(nb), title_of(nb)
    cells, titled = [front_matter(title, promise, page)], False
    if any(PLOTLY in o.get("data", {}) for c in nb.cells for o in c.get("outputs", [])):
        cells.append(script(page))
    cells += [module_line(module, page)] if module else []
    cells += picture(page)
    for cell in nb.cells:
        if cell.cell_type == "code":
            cells += of_code(cell, module)
        elif not titled and cell.source.startswith("# "):
            titled = True
            match = TITLE.match(cell.source)
            cell.source = (match["rest"] if match else cell.source.partition("\n")[2]).strip()
            cells += [cell] if cell.source else []
        else:
            cells.append(cell)
    of_names = {n.anchor for n in names().values() if n.module == module}
    for cell in cells:
        if cell.cell_type == "markdown":
            cell.source = with_alt(apart_from(of_names, cell.source))
            cell.source = with_links(cell.source, page, module, link_names=not cell.metadata.get("made"))
    nb.cells = cells
    nb.metadata.pop("widgets", None)
    return nb
