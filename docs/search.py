"""Entries for the library's names in the search index of the rendered site.

Quarto indexes a page by its sections of level 2. A name has a heading of level 3, so that a search for it finds the
pages that mention it often, and its definition far below them. An entry whose title is the name comes first.
"""

import json
from pathlib import Path
from typing import Any

from docs.names import Name, names, pages_of_modules


def entry(name: Name) -> dict[str, Any]:
    "Return the entry of one name, in the form that Quarto gives its own."
    href = f"{pages_of_modules()[name.module]}#{name.anchor}"
    text = f"iris_nb.{name.full}\n{name.doc}".strip()
    return {"objectID": href, "href": href, "title": name.short, "section": "", "text": text, "crumbs": [name.module]}


def add_names(site: Path) -> int:
    "Add an entry for each public name to the index of the site; return how many there are. Twice is the same as once."
    index = site / "search.json"
    own = [entry(name) for name in names().values() if name.module in pages_of_modules()]
    ids = {one["objectID"] for one in own}
    others = [one for one in json.loads(index.read_text(encoding="utf-8")) if one["objectID"] not in ids]
    index.write_text(json.dumps([*others, *own], ensure_ascii=False, indent=1), encoding="utf-8")
    return len(own)
