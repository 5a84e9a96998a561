"""Plain stand-ins for the protobuf classes that Azure's worker hands to `azure-functions-runtime`."""

from types import SimpleNamespace


class Record(SimpleNamespace):
    """A message: whatever fields it was made with."""


class BindingInfo(Record):
    """A binding, and the directions that one can have."""

    undefined = None
    out = 1
    inout = 2


# A keyword can't be a name in the class' body.
setattr(BindingInfo, "in", 0)


class StatusResult(Record):
    """How a request went."""

    Failure = 0
    Success = 1


class RpcHttp(Record):
    """An HTTP request or answer."""


class RpcHttpCookie(Record):
    """A cookie to be set."""

    # The values are what a Set-Cookie header says; "None" says nothing.
    SameSite = SimpleNamespace(**{"None": "", "Lax": "lax", "Strict": "strict", "ExplicitNone": "none"})


class TypedData(Record):
    """One value, in the field that its type names."""

    def WhichOneof(self, _group: str) -> str:  # noqa: N802, protobuf's own name
        """Returns the name of the field that is set."""
        return next(iter(vars(self)))


class ParameterBinding(Record):
    """The value of one parameter."""

    def WhichOneof(self, _group: str) -> str:  # noqa: N802, protobuf's own name
        """Returns the name of the field that holds the value."""
        return "data"


class Protos:
    """What the runtime library takes for the generated module."""

    BindingInfo = BindingInfo
    FunctionMetadataResponse = Record
    InvocationResponse = Record
    NullableBool = Record
    NullableDouble = Record
    NullableString = Record
    NullableTimestamp = Record
    ParameterBinding = ParameterBinding
    RpcException = Record
    RpcFunctionMetadata = Record
    RpcHttp = RpcHttp
    RpcHttpCookie = RpcHttpCookie
    RpcRetryOptions = Record
    StatusResult = StatusResult
    Timestamp = Record
    TypedData = TypedData
    WorkerInitResponse = Record
    WorkerMetadata = Record
