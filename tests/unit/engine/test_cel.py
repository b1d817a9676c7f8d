"""The small CEL: what it works out, and what it refuses."""

from typing import Any

import pytest

from kedge.pipelines.engine.cel import EvaluationError, Expression, SyntaxProblem

VALUES = {"inputs": {"parameter_values": {"i": 3, "d": 2.5, "s": "a'b", "t": True, "l": [1, {"k": "v"}], "n": None, "num": "7"}}}
P = "inputs.parameter_values"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("1.5e1", 15.0),
        (".5", 0.5),
        ("'a'", "a"),
        (r'"a\"b\n\u00e9\x41\101\q"', 'a"b\né' + "AAq"),
        (r"'\U0001F600'", "😀"),
        (r"'\UFFFFFFFF'", r"\UFFFFFFFF"),
        ("true", True),
        ("false", False),
        ("null", None),
        ("-1", -1),
        ("--1", 1),
        ("!true", False),
        ("!!true", True),
        ("(1)", 1),
        ("'it's' == 'it\\'s'", True),
        ("'a'=='a'&&'b'=='b'", True),
        ("'the \"dogs' bone\"' == 'the \"dogs\\' bone\"'", True),
        (f"!({P}['s'] == 'a'b') && !({P}['s'] == ''')", False),
        (f"'int({P}['i'])' == '3' && '{P}['t']' == 'true' && !('{P}['d']' < '1')", True),
        ("1 == 1.0", True),
        ("true == 1", False),
        ("'1' == 1", False),
        ("null == null", True),
        ("1 != 2", True),
        ("1 < 2 && 2 <= 2 && 3 > 2 && 3 >= 3", True),
        ("'a' < 'b'", True),
        ("false < true", True),
        ("true || false && false", True),
        ("false || false", False),
        ("(true || false) && false", False),
        ("true || 1 < 'a'", True),
        ("false && 1 < 'a'", False),
        (f"{P}['i'] == 3", True),
        (f'{P}["s"]', "a'b"),
        (f"{P}.i", 3),
        (f"{P}['l'][1]['k']", "v"),
        (f"{P}['l'][0]", 1),
        (f"{P}['n'] == 'x'", False),
        (f"int({P}['d'])", 2),
        (f"int({P}['num']) > 5", True),
        ("int('2.9')", 2),
        (f"double({P}['num'])", 7.0),
        (f"string({P}['i'])", "3"),
        (f"bool('true') && bool({P}['t']) && !bool('False')", True),
        (f"size({P}['l'])", 2),
        ("parseJson('[1, 2]')[1]", 2),
        (f"parseJson({P}['l'])[0]", 1),
        (f"  {P}['i']\n  ==\t3  ", True),
        (f"!(int({P}['i']) == 1) && !(double({P}['d']) > 9.0)", True),
    ],
)
def test_values(text: str, value: Any) -> None:
    found = Expression(text).evaluate(VALUES)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a value, found 'the end' at column 1 of ''"),
        ("1 ==", "expected a value, found 'the end' at column 5 of '1 =='"),
        ("1 2", "unexpected '2' at column 3 of '1 2'"),
        ("(1", "expected ')', found 'the end' at column 3"),
        ("a[1", "expected ']', found 'the end' at column 4"),
        ("a.1", "unexpected '.1' at column 2"),
        ("a.'b'", "expected a name, found \"'b'\" at column 3"),
        ("1 ? 2 : 3", "unexpected '?' at column 3"),
        ("__import__('os')", "no function '__import__' (there are bool, double, int, parseJson, size, string) at column 1"),
        ("int(1", "expected ')', found 'the end' at column 6"),
        ("'a", 'unexpected "\'" at column 1'),
        (" )", "expected a value, found ')' at column 2"),
        ("(" * 200 + "1" + ")" * 200, "nested too deeply at column 101"),
        ("1 == 1 == 1", "unexpected '==' at column 8"),
    ],
)
def test_what_cannot_be_read(text: str, message: str) -> None:
    with pytest.raises(SyntaxProblem) as error:
        Expression(text)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x", "there is no variable 'x' here (there is inputs)"),
        (f"{P}['q']", "there is no 'q' (there is d, i, l, n, num, s, t)"),
        (f"{P}['l'][5]", "there is no item 5 in a list of 2"),
        (f"{P}['l'][true]", 'a list ([1,{"k":"v"}]) has no member \'true\''),
        ("'a'[0]", "text (a) has no member '0'"),
        ("!1", "! needs true or false, got an integer (1)"),
        ("1 && true", "&& needs true or false, got an integer (1)"),
        ("false || 'a'", "|| needs true or false, got text (a)"),
        ("-'a'", "- needs a number, got text (a)"),
        ("1 < 'a'", "an integer (1) < text (a): values of different types have no order"),
        ("1 < null", "an integer (1) < null: values of different types have no order"),
        ("int('a')", "int() cannot take text (a)"),
        ("int(true)", "int() cannot take a boolean (true)"),
        ("double(null)", "double() cannot take null"),
        ("bool(1)", "bool() cannot take an integer (1)"),
        ("size(1)", "size() cannot take an integer (1)"),
        ("parseJson('{')", "parseJson() cannot take text ({)"),
        ("int(double('1e400'))", "int() cannot take a number (inf)"),
    ],
)
def test_what_cannot_be_worked_out(text: str, message: str) -> None:
    with pytest.raises(EvaluationError) as error:
        Expression(text).evaluate(VALUES)
    assert str(error.value) == message


def test_an_expression_knows_which_inputs_it_reads() -> None:
    assert Expression(f"{P}['a'] == 1 || inputs.parameters.b && {P}['c']['d']").parameters == {"a", "b", "c"}
    assert Expression("inputs.artifacts['a'] == string_value[0]").parameters == frozenset()
