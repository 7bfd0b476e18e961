"""A champion for any schema, which takes gaps: for services about another table than the project's."""

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper

from iris_nb.bundle import Card, point_champion, write_bundle
from iris_nb.schema import Schema
from iris_nb.session import open_session, run_session


def graph(features: int, classes: int) -> bytes:
    "Return a model that takes gaps: more features there, a higher probability of the last class."
    last = np.zeros((features, classes), dtype=np.float64)
    last[:, -1] = 1.0
    weights = helper.make_tensor("weights", TensorProto.DOUBLE, last.shape, last.ravel())
    bias = helper.make_tensor("bias", TensorProto.DOUBLE, (classes,), [0.0] * (classes - 1) + [-features + 0.5])
    nodes = [
        helper.make_node("IsNaN", ["X"], ["gaps"]),
        helper.make_node("Not", ["gaps"], ["there"]),
        helper.make_node("Cast", ["there"], ["ones"], to=TensorProto.DOUBLE),
        helper.make_node("MatMul", ["ones", "weights"], ["sums"]),
        helper.make_node("Add", ["sums", "bias"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["probabilities"], axis=1),
        helper.make_node("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0),
    ]
    X = helper.make_tensor_value_info("X", TensorProto.DOUBLE, [None, features])
    P = helper.make_tensor_value_info("probabilities", TensorProto.DOUBLE, [None, classes])
    label = helper.make_tensor_value_info("label", TensorProto.INT64, [None])
    made = helper.make_graph(nodes, "there", [X], [label, P], [weights, bias])
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()


def write_champion(root: Path, schema: Schema, X: np.ndarray) -> None:
    "Write a bundle of that model for a schema, with some rows of doubles as reference."
    model = graph(len(schema.features), len(schema.classes))
    P = run_session(open_session(model), X)
    labels = [schema.classes[i % len(schema.classes)] for i in range(len(X))]
    card = Card(f"{schema.name}_test", "1", "2026-01-01T00:00:00+00:00", schema, description="A model for tests.")
    scores = np.sort(1 - P.max(axis=1))
    point_champion(root, write_bundle(root, card, model, (X, P), (X, np.array(labels)), scores).name)


def doubles_of(schema: Schema, count: int = 40) -> np.ndarray:
    "Return random doubles for a schema, some of them gaps where a feature may be missing."
    random = np.random.default_rng(1)
    X = np.column_stack([f.draw(random, count) for f in schema.features])
    for j, f in enumerate(schema.features):
        if f.missing:
            X[random.random(count) < 0.2, j] = np.nan
    return X
