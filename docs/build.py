"""Build the site: `python -m docs.build` (into _docs), or with --preview show it while you write."""

import argparse
import importlib.util
import re
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import nbformat

from docs import executed
from docs.made import write_for_programs, write_made
from docs.names import NBS, ROOT, notebooks, settings
from docs.pages import FOLDERS, page_of
from docs.search import add_names

PROC, SITE = ROOT / "_proc", ROOT / "_docs"
QUARTO = "1.10.19"  # the version that is fetched where there is none
MISSING = (
    "The site needs Quarto, which is not on this machine and could not be fetched: "
    "install it from https://quarto.org/docs/download and run this again."
)


def write_pages(to: Path) -> None:
    "Everything that Quarto needs, in one folder."
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir()
    for path in notebooks():
        target = to / path.relative_to(NBS)
        target.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(page_of(path), target)
    for name in FOLDERS:
        shutil.copytree(NBS / name, to / name)
    write_made(to)
    shutil.copy(NBS / "404.qmd", to / "404.qmd")
    shutil.copy(plotly_js(), to / "site" / "plotly.min.js")
    (to / "_quarto.yml").write_text(dated((ROOT / "_quarto.yml").read_text(encoding="utf-8")), encoding="utf-8")
    (to / "nbdev.yml").write_text(about(), encoding="utf-8")


def dated(text: str) -> str:
    "Return the site's description with the version and the day of the build in its footer."
    today = datetime.now(UTC).strftime("%-d %B %Y")
    return text.replace("VERSION", f"Version {settings()['version']}").replace("DATE", today)


def about() -> str:
    "The site's facts from settings.ini, as nbdev writes them."
    a = settings()
    return f"""project:
  output-dir: {SITE.name}
website:
  title: "{a["title"]}"
  site-url: "{a["doc_host"]}{a["doc_baseurl"]}"
  description: "{a["description"]}"
  repo-branch: {a["branch"]}
  repo-url: "{a["git_url"]}"
"""


def plotly_js() -> Path:
    "plotly.js, as plotly's package brings it."
    found = importlib.util.find_spec("plotly")
    return Path(str(found and found.origin)).parent / "package_data" / "plotly.min.js"


def quarto() -> str | None:
    "The path of Quarto, which is fetched where that is possible; None where it is not."
    if path := shutil.which("quarto"):
        return path
    print(f"No Quarto here; fetching {QUARTO}…", flush=True)
    uv = [str(ROOT / ".uv/bin/uv"), "pip", "install", "--quiet", "--python", sys.executable]
    way = uv if Path(uv[0]).exists() else [sys.executable, "-m", "pip", "install", "--quiet"]
    done = subprocess.run([*way, f"quarto-cli=={QUARTO}"], capture_output=True)  # noqa: S603
    return shutil.which("quarto") if done.returncode == 0 else None


def render(program: str) -> int:
    "Let Quarto make the site. A warning of Quarto (two headings with one anchor, a link to nowhere) is an error."
    warnings = list[str]()
    command = [program, "render", str(PROC), "--no-execute"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as rendering:  # noqa: S603
        for line in rendering.stdout or ():
            print(line, end="", flush=True)
            warnings += [line] if re.search(r"\[?WARN(ING)?\b", line) else []
    if rendering.returncode == 0 and warnings:
        print(f"Quarto warned {len(warnings)} times:\n{''.join(warnings)}", end="", file=sys.stderr)
    return rendering.returncode or bool(warnings)


def preview(program: str) -> int:
    "Let Quarto show the pages; make a page anew when its notebook is saved."
    changed = {path: path.stat().st_mtime for path in notebooks()}
    with subprocess.Popen([program, "preview", PROC]) as showing:  # noqa: S603
        while showing.poll() is None:
            time.sleep(0.5)
            for path in notebooks():
                if changed.get(path) != (now := path.stat().st_mtime):
                    changed[path] = now
                    nbformat.write(page_of(path), PROC / path.relative_to(NBS))
    return showing.returncode


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preview", action="store_true", help="serve the site, and follow what you change")
    parser.add_argument("--pages", action="store_true", help="only make the pages, in _proc, without Quarto")
    parser.add_argument("--run", action="store_true", help="run the pipeline first, and show what it gave (minutes)")
    wishes = parser.parse_args()
    if wishes.run:
        executed.run()
    write_pages(PROC)
    if wishes.pages:
        print(f"{len(notebooks())} pages are in {PROC.name}/.")
        return 0
    if (program := quarto()) is None:
        print(MISSING, file=sys.stderr)
        return 1
    if wishes.preview:
        return preview(program)
    if status := render(program):
        return status
    add_names(PROC / SITE.name)
    write_for_programs(PROC / SITE.name)
    shutil.rmtree(SITE, ignore_errors=True)
    shutil.move(PROC / SITE.name, SITE)
    print(f"The site is in {SITE.name}/; {SITE.name}/index.html is its first page.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
