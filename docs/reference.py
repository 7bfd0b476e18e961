"""One exported name as a place to look things up: signature, docstring, parameters, result, errors, methods.

Everything is taken from the source: what a parameter means from the comment beside it, and what is raised from the
raise statements of the body.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache

from docs.names import ROOT, Definition, Name, definitions, names

Function = ast.FunctionDef | ast.AsyncFunctionDef
#: Comments for programs that check code are not for readers.
FOR_CHECKERS = re.compile(r"\s*#?\s*(?:noqa|type: ignore)\b.*$")


@cache
def source_of(file: str) -> tuple[dict[str, Definition], dict[int, str]]:
    return commented((ROOT / file).read_text(encoding="utf-8"))


def commented(text: str) -> tuple[dict[str, Definition], dict[int, str]]:
    "Return the public definitions of a module by their names, and its comments by their lines."
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    comments = {t.start[0]: FOR_CHECKERS.sub("", t.string.lstrip("# ")) for t in tokens if t.type == tokenize.COMMENT}
    return dict(definitions(ast.parse(text).body)), comments


def signature(node: Definition, short: str) -> str:
    "Return the first line of a definition, over several lines where it is wider than a page."
    last = short.rpartition(".")[2]
    if isinstance(node, ast.ClassDef):
        bases = ", ".join(ast.unparse(base) for base in [*node.bases, *node.keywords])
        return f"class {last}({bases})" if bases else f"class {last}"
    before = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    result = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    parts = parameters_as_written(node.args)
    line = f"{before} {last}({', '.join(parts)}){result}"
    return line if len(line) <= 88 else f"{before} {last}(\n    " + ",\n    ".join(parts) + f",\n){result}"


def parameters_as_written(args: ast.arguments) -> list[str]:
    "Return each parameter of a function as it stands in its signature."
    plain = [*args.posonlyargs, *args.args]
    defaults = [None] * (len(plain) - len(args.defaults)) + [*args.defaults]
    parts = [one(a, d) for a, d in zip(plain, defaults, strict=True)]
    if args.posonlyargs:
        parts.insert(len(args.posonlyargs), "/")
    if args.vararg:
        parts.append("*" + ast.unparse(args.vararg))
    elif args.kwonlyargs:
        parts.append("*")
    parts += [one(a, d) for a, d in zip(args.kwonlyargs, args.kw_defaults, strict=True)]
    return [*parts, *(["**" + ast.unparse(args.kwarg)] if args.kwarg else [])]


def one(arg: ast.arg, default: ast.expr | None) -> str:
    if default is None:
        return ast.unparse(arg)
    return f"{ast.unparse(arg)}{' = ' if arg.annotation else '='}{ast.unparse(default)}"


def cell(text: str, code: bool = False) -> str:
    "Return a text as a cell of a Markdown table."
    text = " ".join(text.split())
    if not code or not text:
        return text.replace("|", "\\|")
    return f"`{text}`" if text.isidentifier() else literal(text)


def literal(text: str) -> str:
    "Return code that Markdown leaves alone and that no link is made of."
    for sign in "|*_[]`":
        text = text.replace(sign, f"&#{ord(sign)};")
    return f"<code>{text.replace('<', '&lt;')}</code>"


def table(head: str, rows: list[tuple[str, str, str, str]]) -> str:
    "Return name, type, default and meaning of each row as a table; columns without any entry are left out."
    if not rows:
        return ""
    heads, codes = (head, "Type", "Default", "Meaning"), (True, True, True, False)
    kept = [i for i in range(4) if any(row[i] for row in rows)]
    lines = [[heads[i] for i in kept], ["---"] * len(kept)]
    for row in rows:  # the name is raw HTML, so that no link is made of a parameter that is called like a function
        lines.append([literal(row[0]), *(cell(row[i], codes[i]) for i in kept[1:])])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def parameters(node: Function, comments: dict[int, str]) -> str:
    "Return the table of a function's parameters, without self."
    args, rows = node.args, []
    plain = [*args.posonlyargs, *args.args]
    defaults: list[ast.expr | None] = [*[None] * (len(plain) - len(args.defaults)), *args.defaults]
    defaults += [None] * bool(args.vararg) + [*args.kw_defaults] + [None] * bool(args.kwarg)
    stars = {id(args.vararg): "*", id(args.kwarg): "**"}
    every = [*plain, *filter(None, [args.vararg]), *args.kwonlyargs, *filter(None, [args.kwarg])]
    alone = len({a.lineno for a in every}) == len(every) and node.lineno not in {a.lineno for a in every}
    for arg, default in zip(every, defaults, strict=True):
        if arg.arg in ("self", "cls"):
            continue
        name = stars.get(id(arg), "") + arg.arg
        kind = ast.unparse(arg.annotation) if arg.annotation else ""
        meaning = comments.get(arg.end_lineno or arg.lineno, "") if alone or len(every) == 1 else ""
        rows.append((name, kind, ast.unparse(default) if default else "", meaning))
    return table("Parameter", rows)


def fields(node: ast.ClassDef, comments: dict[int, str]) -> str:
    "Return the table of a class's public fields: those with an annotation, and the members of an enumeration."
    rows = []
    for item in node.body:
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            name, kind, value = item.target.id, ast.unparse(item.annotation), item.value
        elif isinstance(item, ast.Assign) and isinstance(item.targets[0], ast.Name):
            name, kind, value = item.targets[0].id, "", item.value
        else:
            continue
        default = ast.unparse(value) if value else ""
        if not name.startswith("_"):
            rows.append((name, kind, default if len(default) <= 60 else "…", comments.get(item.end_lineno or 0, "")))
    return table("Field", rows)


def returns(node: Function, comments: dict[int, str]) -> str:
    "Return a line about the result of a function, or nothing where it has none."
    if node.returns is None or ast.unparse(node.returns) == "None":
        return ""
    last = max([a.end_lineno or 0 for a in ast.walk(node.args) if isinstance(a, ast.arg)], default=node.lineno)
    end = node.returns.end_lineno or node.lineno
    meaning = comments.get(end, "") if end > last or end == node.lineno else ""
    return f"**Returns** `{ast.unparse(node.returns)}`" + (f": {meaning}" if meaning else "")


def raises(node: Function) -> str:
    "Return a line about each kind of error that the body of a function raises, with its words where they are fixed."
    found = dict[str, list[str]]()
    for at in within(node):
        if isinstance(at, ast.Raise) and at.exc is not None:
            error = at.exc.func if isinstance(at.exc, ast.Call) else at.exc
            if re.fullmatch(r"[A-Z]\w*|\w+\.[A-Z]\w*", kind := ast.unparse(error)):
                said = words(at.exc.args[0]) if isinstance(at.exc, ast.Call) and at.exc.args else ""
                found.setdefault(kind, []).extend([said] if said else [])
    lines = []
    for kind, said in found.items():
        quoted = ", ".join(f"“{text}”" for text in dict.fromkeys(said))
        lines.append(f"- `{kind}`" + (f": {quoted}" if said else ""))
    return "\n".join(["**Raises**", "", *lines]) if lines else ""


def within(node: ast.AST) -> Iterator[ast.AST]:
    "Yield what a function does itself, without the functions that it defines."
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, Definition | ast.Lambda):
            yield child
            yield from within(child)


def words(message: ast.expr) -> str:
    "Return the words of an error, with … for what is filled in; nothing where they come from elsewhere."
    if isinstance(message, ast.Constant) and isinstance(message.value, str):
        said = message.value
    elif isinstance(message, ast.JoinedStr):
        parts = [str(v.value) if isinstance(v, ast.Constant) else "…" for v in message.values]
        said = "".join(parts) if any(isinstance(v, ast.Constant) for v in message.values) else ""
    else:
        return ""
    return re.sub(r"([`*_<>\[\]|])", r"\\\1", " ".join(said.split()))


def fenced(code: str) -> str:
    return f"```python\n{code}\n```"


def block(name: Name, level: int = 3) -> str:
    "Return the reference of one name: heading, signature, docstring, tables, and its methods one level below."
    nodes, comments = source_of(name.file)
    node = nodes[name.short]
    heading = f"{'#' * level} {name.short} {{#{name.anchor} .api}}\n\n[source]({name.source}){{.source}}"
    parts = [heading, fenced(signature(node, name.short)), name.doc]
    if isinstance(node, ast.ClassDef):
        parts += [fields(node, comments)]
        start = [n for n in node.body if isinstance(n, Function) and n.name == "__init__"]
        parts += [parameters(n, comments) for n in start]
        methods = [n for n in names().values() if n.full.startswith(f"{name.full}.")]
        parts += [block(method, level + 1) for method in methods]
    elif any(ast.unparse(d) in ("property", "cached_property") for d in node.decorator_list):
        parts[1] = ""
        parts += [returns(node, comments)]
    else:
        parts += [parameters(node, comments), returns(node, comments), raises(node)]
    return "\n\n".join(filter(None, parts))


def folded(source: str, shown: list[str]) -> str:
    "Return the code of an exporting cell, folded, without the docstrings that stand above it."
    lines, gone = source.splitlines(), set[int]()
    for _, node in definitions(ast.parse(source).body):
        first = node.body[0]
        if len(node.body) > 1 and ast.get_docstring(node) is not None:
            gone |= set(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    code = "\n".join(line for i, line in enumerate(lines, 1) if i not in gone).strip("\n")
    return details(f"Code of {', '.join(shown)}", f"::: {{.exported}}\n{fenced(code)}\n:::")


def details(summary: str, text: str) -> str:
    "Return Markdown that is folded until a reader asks for it."
    opened = f'```{{=html}}\n<details class="body"><summary>{summary}</summary>\n```'
    return f"{opened}\n\n{text}\n\n```{{=html}}\n</details>\n```"
