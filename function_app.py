"""The functions: their triggers and nothing else."""

import json
from functools import partial

import azure.functions as func

from shared import api
from shared.app import tracker
from shared.settings import STORAGE_CONNECTION, RetryMode, load

settings = load()
app = func.FunctionApp()


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


@app.function_name("redrive_blobs")
@app.route(
    "operations/{operationId}/redrive", methods=["POST"], trigger_arg_name="request", auth_level=func.AuthLevel.FUNCTION
)
def redrive_blobs(request: func.HttpRequest) -> func.HttpResponse:
    """A person wants blobs tried again that were given up."""
    return _response(api.redrive_blobs(_tracker, request.route_params["operationId"], _asked(request)))


@app.function_name("redrive_messages")
@app.route("queues/{queue}/redrive", methods=["POST"], trigger_arg_name="request", auth_level=func.AuthLevel.FUNCTION)
def redrive_messages(request: func.HttpRequest) -> func.HttpResponse:
    """A person wants messages of a poison queue handled again."""
    return _response(api.redrive_messages(_tracker, request.route_params["queue"], _asked(request)))


_tracker = partial(tracker, settings)


def _asked(request: func.HttpRequest) -> api.Request:
    key = request.headers.get("x-functions-key") or request.params.get("code") or ""
    return api.Request(request.get_body(), key)


def _response(answer: api.Answer) -> func.HttpResponse:
    return func.HttpResponse(json.dumps(answer.content), status_code=answer.status, mimetype=answer.media_type)
