"""Cells of the guides that run a command: a reader sees the command, to copy into a terminal, and what it printed.

The guides run their commands on a stage (nbs/guides/stage.py), in a folder and on ports of its own. A reader has no
stage, so `stage.sh("iris-nb runs")` becomes a block of bash, and what only sets the stage up is folded.
"""

import ast
import re
import shlex
from typing import Any

SHOWN = re.compile(r"\A\$ (?P<command>.+?)\n\n(?P<rest>[\s\S]*)\Z", re.S)
RUNS, STAYS = "stage.sh", "stage.start"
SETS_UP = re.compile(r"Stage\(.*\)|stage\.(champion|start|stop|close)\(.*\)|httpx\.Client\(.*\)|api\.close\(\)", re.S)


def call_in(statement: ast.stmt) -> ast.Call | None:
    "Return the call that a statement is, or whose result it keeps."
    value = statement.value if isinstance(statement, ast.Expr | ast.Assign) else None
    return value if isinstance(value, ast.Call) else None


def command_of(call: ast.Call) -> str | None:
    "Return the command that a call of the stage runs, None where it is not written out in the cell."
    what = ast.unparse(call.func)
    if what not in (RUNS, STAYS) or not call.args:
        return None
    if not isinstance(first := call.args[0], ast.Constant) or not isinstance(first.value, str):
        return None
    given = [k for k in call.keywords if isinstance(k.value, ast.Constant) and k.arg and k.arg.isupper()]
    settings = [f"{k.arg}={shlex.quote(str(k.value.value))}" for k in given if isinstance(k.value, ast.Constant)]
    return " ".join([*settings, first.value]) + (" &" if what == STAYS else "")


def commands(body: list[ast.stmt], outputs: list[Any]) -> str | None:
    """Return the commands of a cell that runs nothing else; None for other cells.

    `stage.show` prints its command first, since it is put together in the cell: it is taken from the output, which
    then begins with what the command printed.
    """
    last = call_in(body[-1]) if body else None
    if last is not None and ast.unparse(last.func) == "stage.show" and outputs and "text" in outputs[0]:
        if match := SHOWN.match(outputs[0].text):
            outputs[0].text = match["rest"]
            return match["command"]
        return None
    found = [command_of(call) if (call := call_in(one)) and isinstance(one, ast.Expr) else None for one in body]
    written = [command for command in found if command is not None]
    return "\n".join(written) if body and len(written) == len(body) else None


def sets_up(body: list[ast.stmt]) -> bool:
    "Return whether a cell only starts or ends what a guide's examples run against."
    calls = [call_in(one) for one in body if not isinstance(one, ast.Assert)]
    return bool(calls) and all(c is not None and SETS_UP.fullmatch(ast.unparse(c)) for c in calls)
