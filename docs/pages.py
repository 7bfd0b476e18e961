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
    Name,
    definitions,
    directives,
    html_name,
    named,
    names,
    pages_of_modules,
    repository,
)

FOLDERS = ("images", "site")  # what the site has besides pages
OURS = {"default_exp", "export", "exports", "hide", "slow"}  # nbdev's; all others are Quarto's
TITLE = re.compile(r"\A# (?P<title>.+)\n+> (?P<promise>.+(?:\n> .+)*)(?P<rest>[\s\S]*)\Z")
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
NAME = re.compile(r"`([A-Za-z_][\w.]*)(\(\))?`")
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


def api_block(name: Name) -> Cell:
    "Heading, link to the source, docstring and methods of one exported name."
    methods = [n for n in names().values() if n.full.startswith(f"{name.full}.")]
    listed = [f"- [`{m.short.partition('.')[2]}`]{{#{m.anchor}}}: {m.doc}" for m in methods]
    heading = f"### {name.short} {{#{name.anchor} .api}}\n\n[source]({name.source}){{.source}}"
    return new_markdown_cell("\n\n".join(filter(None, [heading, name.doc, "\n".join(listed)])))


def exported(cell: Cell, module: str) -> Iterator[Cell]:
    "An exporting cell as a page shows it."
    source = without_ours(cell.source)
    body = ast.parse(source).body
    if all(isinstance(node, ast.Import | ast.ImportFrom) for node in body):
        return
    for short, _ in definitions(body):
        if "." not in short and (found := names().get(f"{module}.{short}")):
            yield api_block(found)
    cell.source = f"#| classes: exported\n{FOR_CHECKERS.sub('', source)}"
    yield cell


def drawn(output: Any, id: str) -> Any:
    "An output as HTML can show it."
    if "text" in output:
        output.text = ANSI.sub("", output.text)
    if figure := output.get("data", {}).get(PLOTLY):
        parts = [json.dumps(figure.get(part, {})).replace("</", "<\\/") for part in ("data", "layout")]
        options = '{"responsive": true, "displayModeBar": false}'
        call = f'Plotly.newPlot("{id}", {", ".join([*parts, options])})'
        output.data = {"text/html": f'<div id="{id}" class="figure-plotly"></div>\n<script>{call}</script>'}
    return output


def as_block(output: Any) -> Any:
    """An HTML output as a raw block of Markdown.

    Where a notebook has an output of type text/html, Quarto adds RequireJS and jQuery from a CDN to its page.
    """
    if "text/html" in (data := output.get("data", {})):
        html = "".join(data["text/html"]).strip("\n")
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", html)), default=0))
        output.data = {"text/markdown": f"{fence}{{=html}}\n{html}\n{fence}"}
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


def of_code(cell: Cell, module: str | None) -> Iterator[Cell]:
    found = directives(cell.source)
    if "hide" in found or "default_exp" in found or "hide" in cell.metadata.get("tags", []):
        return
    cell.outputs = [drawn(o, f"figure-{cell.id}-{i}") for i, o in enumerate(cell.outputs)]
    if "export" in found and module:
        yield from exported(cell, module)
        return
    cell.source = without_ours(cell.source)
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


def page_of(path: Path) -> Any:
    "The page that a notebook becomes."
    nb, page = nbformat.read(path, 4), path.relative_to(NBS)
    module, (title, promise) = module_of(nb), title_of(nb)
    cells, titled = [front_matter(title, promise, page)], False
    if any(PLOTLY in o.get("data", {}) for c in nb.cells for o in c.get("outputs", [])):
        cells.append(script(page))
    cells += [module_line(module, page)] if module else []
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
    for cell in cells:
        if cell.cell_type == "markdown":
            cell.source = with_links(cell.source, page, module, link_names=not cell.metadata.get("made"))
    nb.cells = cells
    nb.metadata.pop("widgets", None)
    return nb
