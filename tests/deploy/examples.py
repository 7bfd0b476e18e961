"""Services about the small worlds of the lessons, whatever table the project is about."""

from litestar import Litestar

from iris_nb.examples import HOUSES, PEOPLE
from serve.app import create_app


def houses() -> Litestar:
    "Every kind of feature, gaps and costs."
    return create_app(schema=HOUSES)


def people() -> Litestar:
    "Plain numbers."
    return create_app(schema=PEOPLE)
