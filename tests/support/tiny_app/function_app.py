"""A small app whose functions do what the tests of the local host need to see."""

import base64
import json
import logging
import os
import time
from pathlib import Path

import azure.functions as func

LOG = logging.getLogger(__name__)
app = func.FunctionApp()
JOURNAL = Path(os.environ["TINY_JOURNAL"])


def note(**facts: object) -> None:
    with JOURNAL.open("a") as journal:
        journal.write(json.dumps(facts) + "\n")


note(event="import", pid=os.getpid())
time.sleep(float(os.environ.get("TINY_IMPORT_SECONDS", "0")))
if "TINY_IMPORT_ERROR" in os.environ:
    raise ValueError(os.environ["TINY_IMPORT_ERROR"])


@app.queue_trigger(arg_name="message", queue_name="%TINY_QUEUE%", connection="TinyStorage")
def take(message: func.QueueMessage) -> None:
    body = message.get_body().decode()
    times = [message.insertion_time, message.expiration_time, message.time_next_visible]
    note(
        event="take",
        body=body,
        id=message.id,
        receipt=bool(message.pop_receipt),
        count=message.dequeue_count,
        times=[moment.isoformat() for moment in times if moment],
        at=time.time(),
    )
    LOG.info("took it", extra={"body": body, "with_space": "a b"})
    if body.startswith("fail"):
        raise RuntimeError(f"asked to: {body}")
    if body.startswith("sleep") or (body.startswith("once sleep") and message.dequeue_count == 1):
        time.sleep(float(body.split()[-1]))
    note(event="taken", body=body)


@app.timer_trigger(arg_name="timer", schedule="%TINY_SCHEDULE%", run_on_startup=False)
def tick(timer: func.TimerRequest) -> None:
    start = time.time()
    time.sleep(float(os.environ.get("TINY_TICK_SECONDS", "0")))
    note(event="tick", start=start, end=time.time(), past_due=timer.past_due)


def described(request: func.HttpRequest) -> func.HttpResponse:
    facts = {
        "method": request.method,
        "url": request.url,
        "headers": dict(request.headers),
        "params": dict(request.params),
        "route": dict(request.route_params),
        "body": base64.b64encode(request.get_body()).decode(),
    }
    return func.HttpResponse(json.dumps(facts), mimetype="application/json")


@app.route(route="echo/{*rest}", auth_level=func.AuthLevel.ANONYMOUS)
def echo(req: func.HttpRequest) -> func.HttpResponse:
    return described(req)


@app.function_name("item")
@app.route(route="items/{id:int}/{part?}", methods=["GET", "PUT"], auth_level=func.AuthLevel.ANONYMOUS)
def an_item(req: func.HttpRequest) -> func.HttpResponse:
    return described(req)


@app.route(auth_level=func.AuthLevel.ANONYMOUS)
async def answer(req: func.HttpRequest) -> func.HttpResponse:
    """Answers what the request asks for."""
    asked = req.get_json()
    response = func.HttpResponse(base64.b64decode(asked["body"]), status_code=asked["status"], headers=asked["headers"])
    for cookie in asked["cookies"]:
        response.headers.add("Set-Cookie", cookie)
    return response


@app.route(binding_arg_name="out", auth_level=func.AuthLevel.ANONYMOUS)
def by_parameter(req: func.HttpRequest, out: func.Out[func.HttpResponse]) -> None:
    if req.params:
        out.set(func.HttpResponse("set", status_code=201))


@app.route(route="hello")
def greet(req: func.HttpRequest) -> str:
    return f"grüß dich, {req.params.get('name')}"


@app.route(auth_level=func.AuthLevel.ADMIN)
def owner(req: func.HttpRequest) -> str:
    return str(req.method)


@app.route(auth_level=func.AuthLevel.ANONYMOUS)
def boom(req: func.HttpRequest) -> str:
    raise RuntimeError(f"asked to: {req.method}")


@app.route(auth_level=func.AuthLevel.ANONYMOUS)
def wait(req: func.HttpRequest) -> str:
    """Answers once the file that the request names is there."""
    note(event="wait")
    while not Path(req.params["file"]).exists():
        time.sleep(0.02)
    note(event="waited")
    return "done"
