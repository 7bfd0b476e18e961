"""Pages that no notebook has (every name from A to Z, the gallery, the changelog), and the site for programs.

Each page is Markdown with front matter, for Quarto. `llms.txt` lists the notebooks' pages by their sections, with what
each promises; its addresses lead to the pages as Markdown.
"""

import json
import re
from collections.abc import Iterator
from os.path import relpath
from pathlib import Path
from typing import Any

import yaml

from docs.names import NBS, ROOT, Name, html_name, names, notebooks, pages_of_modules, repository, settings
from docs.pages import LINK, PLOTLY, figure_html, headline_of, page_of, read_notebook, title_of

#: What most users need, in the order in which they need it.
NEEDED = {
    "Declare and load a table": [
        "kinds.Number",
        "kinds.Category",
        "schema.Schema",
        "table.load_rows",
        "train.data.load",
    ],
    "Train and choose": ["train.candidates.candidates_for", "train.evaluate.cross_validate", "train.gate.judge"],
    "Keep and use a model": ["bundle.write_bundle", "predict.predictor.Predictor", "predict.batch.score"],
    "Ask the service": ["client.Client", "client.send_label"],
    "Read and keep the log": ["audit.log.AuditLog", "audit.history.History", "audit.maintenance.verify"],
    "Watch": ["monitor.drift.detect_drift", "monitor.assess.assess", "monitor.report.Report", "monitor.watch.watch"],
}


def link_to(name: Name, here: str = "names.html") -> str:
    there = relpath(pages_of_modules()[name.module], Path(here).parent)
    return f"[`{name.short}`]({there}#{name.anchor})"


def first_sentence(name: Name) -> str:
    "Return the first line of a docstring, which says what the name is for."
    return name.doc.split("\n\n")[0].replace("\n", " ").replace("|", "\\|")


def front(title: str, promise: str) -> str:
    return f"---\ntitle: {json.dumps(title)}\ndescription: {json.dumps(promise)}\n---\n\n"


def names_page() -> str:
    "Return the page of all public names: those that most users need, then all from A to Z."
    text = [front("Names", "Every public name of the library from A to Z, after those that most users need.")]
    text += ["## What most users need\n"]
    for what, wanted in NEEDED.items():
        text.append(f"**{what}**\n")
        text += [f"- {link_to(names()[full])}: {first_sentence(names()[full])}" for full in wanted]
        text.append("")
    top = [n for n in names().values() if "." not in n.short and n.module in pages_of_modules()]
    letters = dict[str, list[Name]]()
    for name in sorted(top, key=lambda n: (n.short.lower(), n.module)):
        letters.setdefault(name.short[0].upper(), []).append(name)
    for letter, of_letter in letters.items():
        text += [f"## {letter}\n", "| Name | Module | What it does |", "| --- | --- | --- |"]
        text += [f"| {link_to(n)} | {n.module} | {first_sentence(n)} |" for n in of_letter]
        text.append("")
    return "\n".join(text)


def changelog_page() -> str:
    "Return the changelog as a page of the site."
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").partition("\n")[2]

    def link(m: re.Match[str]) -> str:
        image, label, target = m.groups()
        if re.match(r"[a-z]+:|#", target):
            return m[0]
        return f"{image}[{label}]({target.removeprefix('nbs/') if target.startswith('nbs/') else repository(target)})"

    promise = "What changed for the people who use this, newest first."
    return front("Changelog", promise) + LINK.sub(link, text).replace(promise, "", 1).lstrip()


def gallery_page() -> str:
    "Return the page of pictures: of each page its first, and links to its others."
    text = [front("Gallery", "The pictures that this project draws, each with the page that makes it.")]
    text.append(raw('<script src="site/plotly.min.js"></script>'))
    for image, alt, page in SCREENS:
        text.append(f"## {alt}\n\n[![{alt}]({image})]({page})\n")
    for path in notebooks():
        nb, here = read_notebook(path), html_name(path.relative_to(NBS))
        if found := list(figures(nb)):
            (first, id), *others = found
            text.append(f"## [{title_of(nb)[0]}]({here}#{id})\n\n{raw(figure_html(first, id))}\n")
            text += [f"- [{headline_of(figure)}]({here}#{anchor})" for figure, anchor in others]
            text.append("")
    return "\n".join(text)


def raw(html: str) -> str:
    return f"```{{=html}}\n{html}\n```\n"


def figures(nb: Any) -> Iterator[tuple[dict[str, Any], str]]:
    "Yield each figure of a notebook with its anchor."
    for cell in nb.cells:
        for i, output in enumerate(cell.get("outputs", [])):
            if (figure := output.get("data", {}).get(PLOTLY)) and figure.get("data"):
                yield figure, f"figure-{cell.id}-{i}"


#: Pictures of programs: file, what is seen, and the page that tells of it.
SCREENS = [
    (
        "images/dashboard.png",
        "The dashboard: four lights, then traffic and drift",
        "guides/read_the_dashboard.html",
    ),
    ("images/mlflow.png", "A training in MLflow: its evidence beside its figures", "guides/retrain.html"),
    ("images/way.svg", "The way of the data, from a notebook to a logged prediction", "guides/design.html"),
]
MADE = {"names.qmd": names_page, "gallery.qmd": gallery_page, "changelog.qmd": changelog_page}


def write_made(to: Path) -> None:
    "Write the sources of these pages to a folder, for Quarto."
    for name, make in MADE.items():
        (to / name).write_text(make(), encoding="utf-8")


# ---- for programs ------------------------------------------------------------------------------------------------


def as_markdown(path: Path) -> str:
    "Return a notebook's page as Markdown that a program or a terminal can read: prose, code and what the code gave."
    nb = read_notebook(path)
    title, promise = title_of(nb)
    text = [f"# {title}", *([f"> {promise}"] if promise else [])]
    for cell in page_of(path).cells[1:]:
        if cell.cell_type == "markdown":
            text.append(plain(cell.source))
        elif cell.cell_type == "code":
            hidden = "echo: false" in cell.source.partition("\n")[0]
            source = "" if hidden else re.sub(r"\A(#\|.*\n?)+", "", cell.source)
            text += [f"```python\n{source}\n```"] if source.strip() else []
            text += [one for output in cell.outputs if (one := said(output))]
    return "\n\n".join(filter(None, text)) + "\n"


def plain(text: str) -> str:
    "Return prose without what only a browser understands, its links leading to Markdown pages."
    text = re.sub(r"^(`{3,})\{=html\}\n[\s\S]*?^\1$\n*", "", text, flags=re.M)
    text = re.sub(r"^:::.*\n?", "", text, flags=re.M)
    text = re.sub(r" *\{#[^}]*\}|\{\.(?:source|module)\}", "", text)
    return LINK.sub(lambda m: f"{m[1]}[{m[2]}]({on_markdown(m[3])})", text).strip()


def on_markdown(target: str) -> str:
    if re.match(r"[a-z]+:|#", target):
        return target
    file, sign, anchor = target.partition("#")
    if file.endswith(".ipynb"):
        file = html_name(Path(file))
    return f"{file.removesuffix('.html')}.md{sign}{anchor}" if file.endswith(".html") else target


def said(output: Any) -> str:
    "Return an output as Markdown, in words where it is a figure."
    if "text" in output:
        return f"```\n{output.text.rstrip()}\n```"
    data = output.get("data", {})
    if found := re.search(r'aria-label="([^"]*)"', "".join(data.get("text/markdown", ""))):
        return f"*Figure: {found[1]}*"
    if "text/plain" in data:
        return f"```\n{''.join(data['text/plain']).rstrip()}\n```"
    return plain("".join(data.get("text/markdown", "")))


def in_sidebar(contents: list[Any], section: str = "") -> Iterator[tuple[str, str]]:
    "Yield section and source of each page, in the order of the sidebar."
    for entry in contents:
        if isinstance(entry, str):
            yield section, entry
        elif "contents" in entry:
            yield from in_sidebar(entry["contents"], entry["section"])
        else:
            yield section, entry["href"]


def llms_txt() -> str:
    "Return the list of all pages for language models and other programs: what each promises, and where its text is."
    about = settings()
    text = [f"# {about['title']}", "", f"> {about['description']}", ""]
    site = yaml.safe_load((ROOT / "_quarto.yml").read_text(encoding="utf-8"))
    before = ""
    for section, href in in_sidebar(site["website"]["sidebar"]["contents"]):
        if not href.endswith(".ipynb"):
            continue
        if section != before:
            text += ["", f"## {section}", ""]
            before = section
        title, promise = title_of(read_notebook(NBS / href))
        address = f"{about['doc_host']}{about['doc_baseurl']}/{on_markdown(href)}"
        text.append(f"- [{title}]({address}): {promise}")
    return "\n".join(text) + "\n"


def write_for_programs(site: Path) -> None:
    "Write llms.txt and each notebook's page as Markdown beside its HTML."
    (site / "llms.txt").write_text(llms_txt(), encoding="utf-8")
    for path in notebooks():
        target = (site / html_name(path.relative_to(NBS))).with_suffix(".md")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(as_markdown(path), encoding="utf-8")
