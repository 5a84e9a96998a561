"""Runs pipelines of Data Factory and workflows of Logic Apps, as far as the recipes go: requests are really sent."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.recipes.expressions import Functions, Value, resolved

type Tree = dict[str, Any]

_MOST_ROUNDS = 600


@dataclass(frozen=True)
class Sent:
    """A request as the service would make it, and who it would log in as."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: Value
    login: Tree


type Send = Callable[[Sent], Value]
"""Makes a request and gives the answer's content; raises RequestRefused."""


class RequestRefused(Exception):
    """A request that was answered with an error."""


class RunFailed(Exception):
    """A pipeline or workflow that ends itself with an error."""


@dataclass
class _Run:
    send: Send
    wait: Callable[[float], None]
    context: dict[str, Callable[..., Value]]
    outputs: dict[str, Value] = field(default_factory=dict)
    variables: dict[str, Value] = field(default_factory=dict)


def run_pipeline(pipeline: Tree, parameters: Tree, send: Send, wait: Callable[[float], None]) -> dict[str, Value]:
    """Run a pipeline of Data Factory.

    Args:
        pipeline: Its JSON.
        parameters: Of this run.
        send: Makes the requests of its Web activities.
        wait: Lets seconds pass.

    Returns:
        The outputs of its activities.

    Raises:
        RunFailed: a Fail activity ended it.
    """
    properties = pipeline["properties"]
    given = {name: each.get("defaultValue") for name, each in properties.get("parameters", {}).items()} | parameters
    run = _Run(send, wait, {})
    run.variables.update({name: each.get("defaultValue") for name, each in properties.get("variables", {}).items()})
    run.context |= {
        "activity": lambda name: {"output": run.outputs[name]},
        "pipeline": lambda: {"parameters": given, "RunId": "a-run"},
        "variables": lambda name: run.variables[name],
    }
    _activities(properties["activities"], run)
    return run.outputs


def _activities(activities: Iterable[Tree], run: _Run) -> None:
    by_name = {each["name"]: each for each in activities}
    done: set[str] = set()
    while ready := [
        each
        for name, each in by_name.items()
        if name not in done and all(before["activity"] in done for before in each.get("dependsOn", []))
    ]:
        _activity(ready[0], run)
        done.add(ready[0]["name"])
    if done != by_name.keys():
        raise RunFailed(f"what {sorted(by_name.keys() - done)} wait for does not come")


def _activity(activity: Tree, run: _Run) -> None:
    of = activity["typeProperties"]
    match activity["type"]:
        case "WebActivity":
            asked = resolved({name: of.get(name) for name in ("method", "url", "headers", "body")}, run.context)
            sent = Sent(
                asked["method"], asked["url"], asked["headers"] or {}, asked["body"], of.get("authentication", {})
            )
            run.outputs[activity["name"]] = _tried(sent, activity.get("policy", {}), run)
        case "Until":
            for _ in range(_MOST_ROUNDS):
                _activities(of["activities"], run)
                if resolved(of["expression"], run.context):
                    return
            raise RunFailed("the time is up")
        case "IfCondition":
            is_so = resolved(of["expression"], run.context)
            _activities(of.get("ifTrueActivities" if is_so else "ifFalseActivities", []), run)
        case "SetVariable":
            run.variables[of["variableName"]] = resolved(of["value"], run.context)
        case "Wait":
            run.wait(of["waitTimeInSeconds"])
        case "Fail":
            raise RunFailed(resolved(of["message"], run.context))
        case kind:
            raise NotImplementedError(f"no activity {kind} here")


def _tried(sent: Sent, policy: Tree, run: _Run) -> Value:
    """Make a request, and again as often as the activity's policy says."""
    for left in range(policy.get("retry", 0), -1, -1):
        try:
            return run.send(sent)
        except RequestRefused:
            if not left:
                raise
            run.wait(policy.get("retryIntervalInSeconds", 30))
    raise AssertionError("not reached")


def run_workflow(definition: Tree, trigger: Value, send: Send, parameters: Tree | None = None) -> dict[str, Value]:
    """Run a workflow of Logic Apps once.

    Args:
        definition: Its definition.
        trigger: The body that its trigger came with.
        send: Makes the requests of its actions; for an action of a connection the URL is the path at the connection.
        parameters: Of the workflow.

    Returns:
        The bodies of its actions.

    Raises:
        RunFailed: a Terminate action ended it.
    """
    given = {name: each.get("defaultValue") for name, each in definition.get("parameters", {}).items()}
    given |= parameters or {}
    run = _Run(send, lambda _: None, {})
    run.context |= {
        "body": lambda name: run.outputs[name],
        "outputs": lambda name: run.outputs[name],
        "parameters": lambda name: given[name],
        "triggerBody": lambda: trigger,
    }
    _actions(definition["actions"], run)
    return run.outputs


def _actions(actions: Mapping[str, Tree], run: _Run) -> None:
    done: set[str] = set()
    while ready := [
        name for name, each in actions.items() if name not in done and each.get("runAfter", {}).keys() <= done
    ]:
        _action(ready[0], actions[ready[0]], run)
        done.add(ready[0])
    if done != actions.keys():
        raise RunFailed(f"what {sorted(actions.keys() - done)} wait for does not come")


def _action(name: str, action: Tree, run: _Run) -> None:
    match action["type"]:
        case "Http" | "ApiConnection":
            asked = resolved(action["inputs"], run.context)
            url = asked.get("uri") or asked["path"]
            run.outputs[name] = run.send(
                Sent(
                    asked["method"].upper(),
                    url,
                    asked.get("headers", {}),
                    asked.get("body"),
                    asked.get("authentication", asked.get("queries", {})),
                )
            )
        case "Compose":
            run.outputs[name] = resolved(action["inputs"], run.context)
        case "If":
            branch = (
                action["actions"]
                if condition(action["expression"], run.context)
                else action.get("else", {}).get("actions", {})
            )
            _actions(branch, run)
        case kind:
            raise NotImplementedError(f"no action {kind} here")


def condition(expression: Value, context: Functions) -> bool:
    """The condition of a Logic App, which is a tree: ``{"and": [{"equals": ["@…", 1]}]}``."""
    [(kind, parts)] = expression.items()
    match kind:
        case "and":
            return all(condition(each, context) for each in parts)
        case "or":
            return any(condition(each, context) for each in parts)
        case "not":
            return not condition(parts, context)
        case "equals":
            one, other = resolved(parts, context)
            return bool(one == other)
    raise NotImplementedError(f"no condition {kind} here")
