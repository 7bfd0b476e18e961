"""The reference of a name says what its source says: signature, parameters, result, errors."""

import ast

from docs.names import names
from docs.reference import block, commented, fields, folded, parameters, raises, returns, signature

TEXT = """
def area(
    width: float,  # metres
    height: float | None = None,  # metres; the width where it is None
    *rest: int,
    loud: bool = False,
) -> float:  # square metres
    "Return the area."
    def inner():
        raise KeyError("never seen")
    if width < 0:
        raise ValueError(f"width is {width}: it can't be negative")
    if height == 0:
        raise ValueError("height is 0")
    raise OSError


class Box(dict):
    "Hold things."

    size: int = 3  # litres
    _hidden: int = 0
"""
NODES, COMMENTS = commented(TEXT)
AREA, BOX = NODES["area"], NODES["Box"]


def test_a_signature_is_one_line_without_the_body():
    assert signature(AREA, "area").startswith(
        "def area(\n    width: float,\n    height: float | None = None,\n    *rest"
    )
    assert signature(ast.parse("def f(a, /, b=1, *, c): pass").body[0], "f") == "def f(a, /, b=1, *, c)"
    assert signature(BOX, "Box") == "class Box(dict)"


def test_the_comment_beside_a_parameter_is_its_meaning():
    table = parameters(AREA, COMMENTS).splitlines()
    assert table[0] == "| Parameter | Type | Default | Meaning |"
    assert table[2] == "| <code>width</code> | `float` |  | metres |"
    assert table[3].endswith("| `None` | metres; the width where it is None |")
    assert table[4].startswith("| <code>&#42;rest</code> | `int` |")
    assert len(table) == 6


def test_the_comment_beside_the_result_is_its_meaning():
    assert returns(AREA, COMMENTS) == "**Returns** `float`: square metres"
    assert returns(ast.parse("def f() -> None: pass").body[0], {}) == ""


def test_what_a_function_itself_raises_is_listed_with_its_words():
    assert raises(AREA).splitlines()[2:] == [
        "- `ValueError`: “width is …: it can't be negative”, “height is 0”",
        "- `OSError`",
    ]


def test_fields_are_listed_without_private_ones():
    assert fields(BOX, COMMENTS).splitlines()[2:] == ["| <code>size</code> | `int` | <code>3</code> | litres |"]


def test_the_folded_code_has_no_docstring_a_second_time():
    assert "Return the area." not in folded(TEXT, ["area"])
    assert "raise OSError" in folded(TEXT, ["area"])


def test_every_public_name_has_a_reference():
    for name in names().values():
        if "." not in name.short:
            assert f"{{#{name.anchor} .api}}" in block(name)
