"""A small app whose functions do what the tests of the local host need to see."""

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
