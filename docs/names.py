"""The library's public names, the pages that have them, and where the repository shows a file.

Names are read from the generated modules without importing them.
"""

import ast
import re
from collections.abc import Iterator
from configparser import ConfigParser
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import nbformat

ROOT = Path(__file__).parents[1]
NBS = ROOT / "nbs"
DIRECTIVE = re.compile(r"^#\|\s*(\S+)(?:\s+(.*))?$")


@cache
def settings() -> dict[str, str]:
    "What settings.ini says."
    config = ConfigParser(delimiters=["="])
    config.read(ROOT / "settings.ini", encoding="utf-8")
    return dict(config["DEFAULT"])


def notebooks() -> list[Path]:
    "Every notebook that becomes a page."
    return sorted(p for p in NBS.rglob("*.ipynb") if not any(part[0] in "._" for part in p.relative_to(NBS).parts))


def html_name(path: Path) -> str:
    "The page of a notebook or another source, below the site's root: api/audit/01_migrations.ipynb is api/tables.html."
    return (path.parent / re.sub(r"^\d+[a-z]*_", "", path.stem)).with_suffix(".html").as_posix()


def repository(path: str) -> str:
    "Where the code host shows a file of the repository."
    about = settings()
    kind = "blob" if Path(ROOT, path.partition("#")[0]).is_file() else "tree"
    return f"{about['git_url']}/{kind}/{about['branch']}/{path}"


def directives(source: str) -> dict[str, str]:
    "The directives at the top of a code cell."
    found = {}
    for line in source.splitlines():
        if not (match := DIRECTIVE.match(line)):
            break
        found[match[1]] = match[2] or ""
    return found


@dataclass(frozen=True)
class Name:
    "A public class, function or method of the library."

    module: str  # below iris_nb, e.g. "audit.chain"
    short: str  # within the module, e.g. "Link" or "Link.seq"
    line: int  # in the generated module
    doc: str

    @property
    def full(self) -> str:
        return f"{self.module}.{self.short}"

    @property
    def file(self) -> str:
        "The generated module, below the repository's root."
        return f"iris_nb/{self.module.replace('.', '/')}.py"

    @property
    def anchor(self) -> str:
        "The anchor of its heading: in lower case, unless that is another name of the module (`Key` beside `key`)."
        lower = self.short.lower()
        return self.short if f"{self.module}.{lower}" in names() else lower

    @property
    def source(self) -> str:
        return f"{repository(self.file)}#L{self.line}"


Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def definitions(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, Definition]]:
    "Public classes and functions, and the public methods of public classes, as they come."
    for node in body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield prefix + node.name, node
            if isinstance(node, ast.ClassDef) and not prefix:
                yield from definitions(node.body, f"{node.name}.")


def modules() -> list[str]:
    "The library's modules by name."
    paths = (ROOT / "iris_nb").rglob("*.py")
    return sorted(".".join(p.relative_to(ROOT / "iris_nb").with_suffix("").parts) for p in paths if p.stem[0] != "_")


@cache
def names() -> dict[str, Name]:
    "Every public name of the library: `module.name`."
    found = {}
    for module in modules():
        tree = ast.parse((ROOT / "iris_nb" / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8"))
        for short, node in definitions(tree.body):
            name = Name(module, short, node.lineno, ast.get_docstring(node) or "")
            found[name.full] = name
    return found


@cache
def pages_of_modules() -> dict[str, str]:
    "The page of each module, below the site's root."
    found = {}
    for path in notebooks():
        for cell in nbformat.read(path, 4).cells:
            if cell.cell_type == "code" and (module := directives(cell.source).get("default_exp")):
                found[module] = html_name(path.relative_to(NBS))
    return found


def named(word: str, module: str | None) -> Name | None:
    "What a word in backticks means on the page of `module`: a name of that page, or one that is unique in the library."
    if word.startswith("iris_nb."):
        return names().get(word.removeprefix("iris_nb."))
    if module and (own := names().get(f"{module}.{word}")):
        return own
    if word in names():
        return names()[word]
    # `chain.link` means audit.chain.link, wherever it is said.
    if "." in word and len(within := [n for n in names().values() if n.full.endswith(f".{word}")]) == 1:
        return within[0]
    # Short lower-case words are usually words.
    plain = "." not in word and "_" not in word and word.islower()
    found = [] if plain else [n for n in names().values() if n.short == word]
    return found[0] if len(found) == 1 else None
