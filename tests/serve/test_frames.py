"""Tables to rows: whatever is sent, it is rows or a sentence."""

from contextlib import suppress

import pytest

from iris_nb.examples import HOUSES
from iris_nb.schema import faults_of
from serve.errors import InvalidInput
from serve.frames import read_json
from tests.serve.spoil import spoilt

ROW = HOUSES.example
FORMS = {
    "split": {"dataframe_split": {"columns": list(ROW), "data": [list(ROW.values())], "index": [1]}},
    "records": {"dataframe_records": [ROW], "params": {"alpha": 0.1}},
    "instances": {"instances": [list(ROW.values())]},
    "columns": {"inputs": {name: [value] for name, value in ROW.items()}},
}


@pytest.mark.parametrize("asked", FORMS.values(), ids=FORMS)
def test_a_spoilt_table_is_rows_that_the_schema_takes_or_a_sentence(asked):
    for body in spoilt(asked, 1000):
        with suppress(InvalidInput):
            for row in read_json(HOUSES, body, 100).rows:
                assert not faults_of(HOUSES, dict(zip(HOUSES.names, row, strict=True)))
