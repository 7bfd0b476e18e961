"""What goes over the wire in the two protocols that others defined: Open Inference Protocol v2 and MLflow's scoring."""

from typing import Annotated, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

SAFE_ID = "[A-Za-z0-9_.:/+=@-]{1,128}"  # goes into headers, log lines and the audit log as it is
Parameters: TypeAlias = dict[str, str | float | bool]
_Shape = Annotated[list[int], Meta(description="Sizes, the number of rows first.", examples=[[1]])]
_Datatype = Annotated[str, Meta(extra_json_schema={"enum": ["BOOL", "INT64", "FP64", "BYTES"]})]
_Value: TypeAlias = str | float | bool | None
_Data = Annotated[list[_Value | list[_Value]], Meta(description="Values, flat or nested, row by row; null is a gap.")]

_ROWS = Meta(description="Rows by name, or in the order of the features.")
_COLUMNS = Meta(description="Columns by name.")
ALPHA = 0.001, 0.999  # error rates that a prediction set can be asked for
_ALPHA = Meta(ge=ALPHA[0], le=ALPHA[1], description="Error rate of the prediction sets.")
_Rows: TypeAlias = Annotated[list[dict[str, _Value] | list[_Value]], _ROWS]
_Columns: TypeAlias = Annotated[dict[str, list[_Value]], _COLUMNS]


class ServerMetadata(Struct, frozen=True):
    "What answers, and what it can beyond the protocol."

    name: str
    version: str
    extensions: list[str]


class ServerState(Struct, frozen=True):
    "Whether the process answers, and whether predictions are answered."

    live: bool
    ready: bool


class ModelState(Struct, frozen=True):
    "Whether a model answers."

    name: str
    ready: bool


class TensorMetadata(Struct, frozen=True):
    "What a tensor has to be; a size of -1 is the number of rows."

    name: str
    datatype: _Datatype
    shape: list[int]


class ModelMetadata(Struct, frozen=True):
    "What the model takes and gives."

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]
    parameters: Annotated[Parameters, Meta(description="The model's own name; the matrix that is taken as well.")]


class InputTensor(Struct, frozen=True):
    "Values of one feature, or of all as a matrix."

    name: str
    shape: _Shape
    datatype: _Datatype
    parameters: Parameters | UnsetType = UNSET
    data: _Data | UnsetType = UNSET


class RequestedOutput(Struct, frozen=True):
    "A tensor that the answer is to hold."

    name: str
    parameters: Parameters | UnsetType = UNSET


class InferRequest(Struct, forbid_unknown_fields=True, frozen=True):
    "Rows as named tensors; binary tensors follow the JSON."

    inputs: Annotated[list[InputTensor], Meta(min_length=1)]
    id: Annotated[str, Meta(description="Kept as the request id.", pattern=f"^{SAFE_ID}$")] | UnsetType = UNSET
    parameters: Parameters | UnsetType = UNSET
    outputs: list[RequestedOutput] | UnsetType = UNSET
    model_name: Annotated[str, Meta(description="As in the path, which decides.")] | UnsetType = UNSET
    model_version: Annotated[str, Meta(description="As in the path, which decides.")] | UnsetType = UNSET


class OutputTensor(Struct, frozen=True):
    "One part of the answer, with an entry for each row."

    name: str
    shape: list[int]
    datatype: _Datatype
    parameters: Parameters | UnsetType = UNSET
    data: _Data | UnsetType = UNSET


class InferAnswer(Struct, frozen=True):
    "The answer as named tensors; binary tensors follow the JSON."

    model_name: str
    model_version: str
    id: Annotated[str, Meta(description="The request's id, or a new one.")]
    parameters: Annotated[Parameters, Meta(description="The model's own name, and the time of arrival.")]
    outputs: list[OutputTensor]


class InferError(Struct, frozen=True):
    "Everything that is wrong with a request."

    error: str


class SplitFrame(Struct, frozen=True):
    "A table as pandas has it: names of the columns, and rows of values in that order."

    data: list[list[_Value]]
    columns: Annotated[list[str], Meta(description="Without them: the features in order.")] | UnsetType = UNSET
    index: Annotated[list[str | float], Meta(description="Read and not used.")] | UnsetType = UNSET


class InvocationParams(Struct, frozen=True):
    "What is asked of the answer."

    alpha: Annotated[float, _ALPHA] | UnsetType = UNSET


class FrameRequest(Struct, forbid_unknown_fields=True, frozen=True):
    "Rows in exactly one of four forms."

    dataframe_split: SplitFrame | UnsetType = UNSET
    dataframe_records: Annotated[list[dict[str, _Value]], Meta(description="Rows by name.")] | UnsetType = UNSET
    instances: _Rows | UnsetType = UNSET
    inputs: _Rows | _Columns | UnsetType = UNSET
    params: InvocationParams | UnsetType = UNSET


class FrameAnswer(Struct, frozen=True):
    "One entry for each row, in the order of the request."

    predictions: Annotated[list[dict[str, float]], Meta(description="The probability of each class.")]
    labels: Annotated[list[str], Meta(description="The most probable class of each row.")]
    prediction_ids: Annotated[list[str], Meta(description="Key of each row in the audit log.")]
    model_name: str
    model_version: str
    timestamp: Annotated[str, Meta(extra_json_schema={"format": "date-time"}, description="Arrival, UTC.")]
    prediction_sets: Annotated[list[list[str]], Meta(description="With `alpha`.")] | UnsetType = UNSET
    decisions: Annotated[list[str], Meta(description="Where costs are declared.")] | UnsetType = UNSET


class EndpointModel(Struct, frozen=True):
    "The model behind an endpoint."

    name: str
    provider: str


class Endpoint(Struct, frozen=True):
    "What MLflow's deployment client asks about."

    name: str
    endpoint_type: str
    model: EndpointModel
    endpoint_url: str
    limit: Annotated[None, Meta(description="None but those of the service.")] = None


STRUCTS: tuple[type[Struct], ...] = (
    ServerMetadata,
    ServerState,
    ModelState,
    TensorMetadata,
    ModelMetadata,
    InputTensor,
    RequestedOutput,
    InferRequest,
    OutputTensor,
    InferAnswer,
    InferError,
    SplitFrame,
    InvocationParams,
    FrameRequest,
    FrameAnswer,
    EndpointModel,
    Endpoint,
)
