"""The functions: their triggers and nothing else."""

from functools import partial

import azure.functions as func

from shared import api, dashboard_files
from shared.ambient import Ambient
from shared.app import health, tracker
from shared.settings import STORAGE_CONNECTION, ApiAuth, RetryMode, load

settings = load()
app = func.FunctionApp()
# With API_AUTH=entra it is App Service authentication that lets callers in, and each call is looked at again.
LEVEL = func.AuthLevel.ANONYMOUS if settings.api_auth is ApiAuth.ENTRA else func.AuthLevel.FUNCTION


@app.function_name("register_operation")
@app.queue_trigger("message", settings.operations_queue, STORAGE_CONNECTION)
def register_operation(message: func.QueueMessage) -> None:
    """An upstream job has posted an operation ID."""
    tracker(settings).register_operation(message.get_body(), message.id)


@app.function_name("poll_operations")
@app.timer_trigger("timer", settings.polling.schedule, run_on_startup=False)
def poll_operations(timer: func.TimerRequest) -> None:  # noqa: ARG001, the worker passes it by its name
    """It is time to ask ADX for what is due."""
    tracker(settings).poll_operations()


@app.function_name("poll_batch")
@app.queue_trigger("message", settings.poll_queue, STORAGE_CONNECTION)
def poll_batch(message: func.QueueMessage) -> None:
    """More was due than one instance takes on; this is a part of it."""
    tracker(settings).poll_batch(message.get_body(), message.id)


if settings.retrying.mode is RetryMode.RESUBMIT:

    @app.function_name("resubmit_blobs")
    @app.queue_trigger("message", settings.retry_queue, STORAGE_CONNECTION)
    def resubmit_blobs(message: func.QueueMessage) -> None:
        """Some blobs failed in a way that may pass."""
        tracker(settings).resubmit_blobs(message.get_body(), message.id)


@app.function_name("prune_results")
@app.timer_trigger("timer", "0 */10 * * * *", run_on_startup=False)
def prune_results(timer: func.TimerRequest) -> None:  # noqa: ARG001, the worker passes it by its name
    """Every ten minutes: old results go."""
    tracker(settings).prune_results()


@app.function_name("measure_backlog")
@app.timer_trigger("timer", "0 * * * * *", run_on_startup=False)
def measure_backlog(timer: func.TimerRequest) -> None:  # noqa: ARG001, the worker passes it by its name
    """Once a minute: how much is waiting."""
    tracker(settings).measure_backlog()


@app.function_name("add_operation")
@app.route("operations", methods=["POST"], trigger_arg_name="request", auth_level=LEVEL)
def add_operation(request: func.HttpRequest) -> func.HttpResponse:
    """An upstream job hands in an operation by HTTP."""
    return _answered(api.ADD, request)


@app.function_name("list_operations")
@app.route("operations", methods=["GET"], trigger_arg_name="request", auth_level=LEVEL)
def list_operations(request: func.HttpRequest) -> func.HttpResponse:
    """Somebody looks for operations."""
    return _answered(api.LIST, request)


@app.function_name("get_operation")
@app.route("operations/{operationId}", methods=["GET"], trigger_arg_name="request", auth_level=LEVEL)
def get_operation(request: func.HttpRequest) -> func.HttpResponse:
    """Somebody asks for one operation."""
    return _answered(api.GET, request)


@app.function_name("list_blobs")
@app.route("operations/{operationId}/blobs", methods=["GET"], trigger_arg_name="request", auth_level=LEVEL)
def list_blobs(request: func.HttpRequest) -> func.HttpResponse:
    """Somebody asks for the blobs of an operation."""
    return _answered(api.LIST_BLOBS, request)


@app.function_name("redrive_blobs")
@app.route("operations/{operationId}/redrive", methods=["POST"], trigger_arg_name="request", auth_level=LEVEL)
def redrive_blobs(request: func.HttpRequest) -> func.HttpResponse:
    """A person wants blobs tried again that were given up."""
    return _answered(api.REDRIVE_BLOBS, request)


@app.function_name("redrive_messages")
@app.route("queues/{queue}/redrive", methods=["POST"], trigger_arg_name="request", auth_level=LEVEL)
def redrive_messages(request: func.HttpRequest) -> func.HttpResponse:
    """A person wants messages of a poison queue handled again."""
    return _answered(api.REDRIVE_MESSAGES, request)


@app.function_name("get_summary")
@app.route("summary", methods=["GET"], trigger_arg_name="request", auth_level=LEVEL)
def get_summary(request: func.HttpRequest) -> func.HttpResponse:
    """Somebody asks what has happened lately."""
    return _answered(api.SUMMARY, request)


@app.function_name("list_error_codes")
@app.route("error-codes", methods=["GET"], trigger_arg_name="request", auth_level=LEVEL)
def list_error_codes(request: func.HttpRequest) -> func.HttpResponse:
    """Somebody asks what the error codes mean."""
    return _answered(api.ERROR_CODES, request)


@app.function_name("get_health")
@app.route("health", methods=["GET"], trigger_arg_name="request", auth_level=LEVEL)
def get_health(request: func.HttpRequest) -> func.HttpResponse:
    """Somebody asks whether the app can do its work."""
    return _answered(api.HEALTH, request)


@app.function_name("get_openapi")
@app.route("openapi.json", methods=["GET"], trigger_arg_name="request", auth_level=LEVEL)
def get_openapi(request: func.HttpRequest) -> func.HttpResponse:
    """Somebody asks what this API takes and answers."""
    return _answered(api.DOCUMENT, request)


@app.function_name("dashboard")
@app.route("dashboard", methods=["GET"], trigger_arg_name="request", auth_level=func.AuthLevel.ANONYMOUS)
def dashboard(request: func.HttpRequest) -> func.HttpResponse:
    """A person wants to look at it; the page holds no data."""
    return _file(dashboard_files.start(request.url, request.headers.get("if-none-match", "")))


@app.function_name("dashboard_file")
@app.route("dashboard/{file}", methods=["GET"], trigger_arg_name="request", auth_level=func.AuthLevel.ANONYMOUS)
def dashboard_file(request: func.HttpRequest) -> func.HttpResponse:
    """The page needs one of its files."""
    known = request.headers.get("if-none-match", "")
    return _file(dashboard_files.serve(request.route_params["file"], known))


_backend = api.Backend(settings, partial(tracker, settings), partial(health, settings), Ambient().now)


def _file(reply: dashboard_files.Reply) -> func.HttpResponse:
    return func.HttpResponse(reply.body, status_code=reply.status, headers=dict(reply.headers))


def _answered(endpoint: api.Endpoint, request: func.HttpRequest) -> func.HttpResponse:
    asked = api.Request(
        url=request.url,
        headers={name.lower(): value for name, value in request.headers.items()},
        route=request.route_params,
        body=request.get_body(),
    )
    answer = api.answer(endpoint, _backend, asked)
    return func.HttpResponse(
        answer.text, status_code=answer.status, headers=dict(answer.headers), mimetype=answer.media_type
    )
