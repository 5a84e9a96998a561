"""The expressions of Data Factory and Logic Apps, by the examples of their documentation."""

import pytest

from tests.recipes.expressions import ExpressionError, Value, evaluated, resolved

CONTEXT = {
    "activity": lambda name: {"output": {"id": f"{name}-1", "items": [1, 2]}},
    "parameters": lambda name: {"p1": "it's", "p2": 7}[name],
}


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("plain", "plain"),
        ("@@x", "@x"),
        ("@parameters('p2')", 7),
        ("@{parameters('p2')}", "7"),
        ("a @{parameters('p1')} b @{concat('x', 'y''s')} c", "a it's b xy's c"),
        ("@activity('A').output.items[1]", 2),
        ("@activity('A')?['output']?['nothing']?['more']", None),
        ("@if(equals(1, 2), 'a', 'b')", "b"),
        ("@coalesce(null, false, 'x')", False),
        ("@string(activity('A').output)", '{"id":"A-1","items":[1,2]}'),
        ("@base64(concat('he', 'llo'))", "aGVsbG8="),
        ('@xpath(xml(json(\'{"a": {"b": [{"c": 20}, {"c": 10}]}}\')), \'sum(/a/b/c)\')', 30),
        ({"type": "Expression", "value": "@add(1, 2)"}, 3),
        (["@true", {"a": "@not(false)"}], [True, {"a": True}]),
        ("@EQUALS(1, 1)", True),
    ],
)
def test_a_template_has_its_value(template: Value, value: Value) -> None:
    assert resolved(template, CONTEXT) == value


@pytest.mark.parametrize(
    "expression",
    ["nothing()", "concat('a'", "parameters('p2') 1", "activity('A').output.nothing", "", "concat('a',, 'b')", "x"],
)
def test_what_is_not_right_is_an_error(expression: str) -> None:
    with pytest.raises(ExpressionError):
        evaluated(expression, CONTEXT)


def test_true_is_not_one() -> None:
    assert evaluated("equals(1, true)", {}) is False
