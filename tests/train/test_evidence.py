"""What a training shows of its model."""

from iris_nb.train.candidates import build, candidate
from iris_nb.train.evidence import coefficients


def test_a_model_without_coefficients_has_none_to_show():
    assert coefficients(build(candidate("qda"))) is None
