"""What the newest training came to, as Markdown: the candidate beside the champion it met, and the gate's sentences."""

import sys
from pathlib import Path

from iris_nb.bundle import Card, champion, read_bundle
from iris_nb.config import home_folder
from iris_nb.train.tracking import Run, Tracker, connect, run_tags, runs


def cards(home: Path) -> dict[str, Card]:
    "The card of every bundle here, by the run that made it."
    folders = [path for path in (home / "bundles").iterdir() if (path / "card.json").is_file()]
    return {card.run_id: card for card in (read_bundle(folder).card for folder in folders)}


def number(card: Card | None, metric: str) -> str:
    return f"{card.metrics[metric]:.4f}" if card and metric in card.metrics else "-"


def table(new: Card, old: Card | None) -> list[str]:
    head = f"| | candidate: {new.name} {new.version} | champion: {f'{old.name} {old.version}' if old else 'none yet'} |"
    return [head, "|---|---|---|", *(f"| {m} | {number(new, m)} | {number(old, m)} |" for m in new.metrics)]


def met(known: dict[str, Card], new: Card, home: Path) -> Card | None:
    "The champion that the candidate was compared with: the one that is, unless it is the candidate itself."
    now = champion(home / "bundles")
    reigning = read_bundle(now).card if now else None
    if reigning and reigning.run_id != new.run_id:
        return reigning
    earlier = [card for card in known.values() if card.created < new.created]
    return max(earlier, key=lambda card: card.created, default=None)


def summary(tracker: Tracker, newest: Run, home: Path) -> list[str]:
    known, tags = cards(home), run_tags(tracker, newest.run_id)
    if newest.run_id not in known:
        return ["## Training", "", f"The newest run ended as {newest.status} and left no bundle."]
    new = known[newest.run_id]
    won = tags.get("alias") == "champion"
    title = f"## {new.name} {new.version} {'is the new champion' if won else 'was refused'}"
    return [
        title,
        "",
        *table(new, met(known, new, home)),
        "",
        tags.get("verdict", ""),
        "",
        f"Data: `{new.data_hash[:16]}`",
    ]


def main() -> int:
    home = home_folder()
    tracker = connect(home)
    if not (found := runs(tracker, 1)):
        print("No training was run.", file=sys.stderr)
        return 1
    print("\n".join(summary(tracker, found[0], home)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
