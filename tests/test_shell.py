"""A command that a guide runs is shown as a command."""

import ast

import pytest
from nbformat.v4 import new_output

from docs.shell import commands, sets_up


def parse(source):
    return ast.parse(source).body


@pytest.mark.parametrize(
    ("source", "command"),
    [
        ('stage.sh("iris-nb runs")', "iris-nb runs"),
        ('stage.sh("a")\nstage.sh("b")', "a\nb"),
        ('stage.sh("serve", IRIS_HOST="0.0.0.0")', "IRIS_HOST=0.0.0.0 serve"),
        ('stage.sh("curl -H $KEY", KEY=secret)', "curl -H $KEY"),
        ('stage.start("python -m serve", answers="http://x")', "python -m serve &"),
        ('stage.sh(f"{TRAIN} -p data x")', None),
        ('row = 1\nstage.sh("a")', None),
        ("", None),
    ],
)
def test_a_cell_of_commands_alone_is_shown_as_these_commands(source, command):
    assert commands(parse(source), []) == command


def test_a_command_that_the_cell_puts_together_is_taken_from_what_it_printed():
    output = new_output("stream", text="$ curl -s x \\\n  -d '{}'\n\n{}\n")
    assert commands(parse('row = 1\nstage.show(f"curl {row}")'), [output]) == "curl -s x \\\n  -d '{}'"
    assert output.text == "{}\n"


def test_only_what_starts_and_ends_the_examples_counts_as_set_up():
    assert sets_up(parse('stage = Stage()\nstage.champion()\nstage.start("x")\napi = httpx.Client(base_url=stage.url)'))
    assert sets_up(parse("assert code == 0\nstage.close()"))
    assert not sets_up(parse("stage.close()\nprint(1)"))
    assert not sets_up(parse("for x in y: stage.champion()"))
