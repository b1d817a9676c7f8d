"""Evaluates expressions. Each step costs; who runs out of budget is stopped, so that no rule holds the host up."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from kedge.kube.cel.library import FUNCTIONS
from kedge.kube.cel.syntax import Node, Uint
from kedge.kube.cel.values import Duration, EvaluationError, Optional, Struct, Timestamp, Type, compare, equal, is_number, whole

PER_RULE = 200_000  # steps; about a third of a second
Scope = Mapping[str, Any]
_TYPES = {
    **{name: Type(name) for name in ("int", "uint", "double", "bool", "string", "bytes", "list", "map", "null_type", "type")},
    "optional_type": Type("optional_type"),
}


class OutOfBudget(Exception):
    """The steps that were left are used up."""


class Budget:
    """Steps that may still be taken.

    Args:
        steps: How many.
    """

    def __init__(self, steps: int) -> None:
        self.left = steps

    def take(self, steps: int) -> None:
        """Take some.

        Raises:
            OutOfBudget: There are not so many.
        """
        self.left -= steps
        if self.left < 0:
            raise OutOfBudget


def evaluate(node: Node, scope: Scope, budget: Budget) -> Any:
    """The value of an expression.

    Args:
        node: It.
        scope: Values by name.
        budget: Is used up.

    Raises:
        EvaluationError: It has none.
        OutOfBudget: It takes too long.
    """
    budget.take(1)
    return _KINDS[node.kind](node, scope, budget)


def _const(node: Node, scope: Scope, budget: Budget) -> Any:
    del scope, budget
    return node.value


def _name(node: Node, scope: Scope, budget: Budget) -> Any:
    del budget
    if node.value in scope:
        return scope[node.value]
    if node.value in _TYPES:
        return _TYPES[node.value]
    raise EvaluationError(f"undeclared reference to '{node.value}' (in container '')")


def _field(value: Any, name: str) -> Any:
    if isinstance(value, dict) and name in value:
        return value[name]
    raise EvaluationError(f"no such key: {name}")


def _select(node: Node, scope: Scope, budget: Budget) -> Any:
    value = evaluate(node.parts[0], scope, budget)
    if isinstance(value, Optional):
        return Optional((value.held[0][node.value],)) if value.held and node.value in value.held[0] else Optional()
    if node.flags and node.flags[0]:
        return Optional((value[node.value],)) if isinstance(value, dict) and node.value in value else Optional()
    return _field(value, node.value)


def _has(node: Node, scope: Scope, budget: Budget) -> bool:
    value = evaluate(node.parts[0], scope, budget)
    if isinstance(value, Optional):
        return bool(value.held) and node.value in value.held[0]
    if not isinstance(value, dict):
        raise EvaluationError("no such overload")
    return node.value in value and not (isinstance(value, Struct) and value[node.value] is None)


def _index(node: Node, scope: Scope, budget: Budget) -> Any:
    value, key = (evaluate(each, scope, budget) for each in node.parts)
    wanted = bool(node.flags and node.flags[0])
    if isinstance(value, Optional):
        if not value.held:
            return value
        value, wanted = value.held[0], True
    try:
        found = _item(value, key)
    except EvaluationError:
        if wanted:
            return Optional()
        raise
    return Optional((found,)) if wanted else found


def _item(value: Any, key: Any) -> Any:
    if isinstance(value, list):
        if not is_number(key) or key != int(key):
            raise EvaluationError("no such overload")
        if not 0 <= key < len(value):
            raise EvaluationError(f"index out of bounds: {int(key)}")
        return value[int(key)]
    if isinstance(value, dict):
        for each, found in ((key, value[key]),) if _hashable(key) and key in value else ():
            if isinstance(each, bool) == isinstance(key, bool):
                return found
        raise EvaluationError(f"no such key: {key}")
    raise EvaluationError("no such overload")


def _hashable(key: Any) -> bool:
    return isinstance(key, (str, int, float))


def _list(node: Node, scope: Scope, budget: Budget) -> list[Any]:
    found = list[Any]()
    for part, optional in zip(node.parts, node.flags, strict=True):
        value = evaluate(part, scope, budget)
        found += value.held if optional else (value,)
    return found


def _map(node: Node, scope: Scope, budget: Budget) -> dict[Any, Any]:
    found = dict[Any, Any]()
    for index, optional in enumerate(node.flags):
        key, value = (evaluate(each, scope, budget) for each in node.parts[2 * index : 2 * index + 2])
        if not _hashable(key):
            raise EvaluationError(f"unsupported key type: {key}")
        if not optional:
            found[key] = value
        elif value.held:
            found[key] = value.held[0]
    return found


def _loop(node: Node, scope: Scope, budget: Budget) -> Any:
    value = evaluate(node.parts[0], scope, budget)
    name = str(node.value)
    if name in {"optMap", "optFlatMap"}:
        return _of_optional(node, value, scope, budget)
    if not isinstance(value, (list, dict)):
        raise EvaluationError("no such overload")
    pairs = list(value.items()) if isinstance(value, dict) else list(enumerate(value))

    def scopes() -> Any:
        inner = dict(scope)
        for key, item in pairs:
            budget.take(2)
            if len(node.flags) == 2:
                inner[node.flags[0]], inner[node.flags[1]] = key, item
            else:
                inner[node.flags[0]] = key if isinstance(value, dict) else item
            yield key, item, dict(inner)

    if name in {"all", "exists"}:
        return _quantified(node.parts[1], scopes, budget, stops=name == "exists")
    if name in {"exists_one", "existsOne"}:
        return sum(1 for _, _, each in scopes() if _truth(evaluate(node.parts[1], each, budget))) == 1
    return _collected(node, scopes, budget, isinstance(value, dict))


def _quantified(test: Node, scopes: Callable[[], Any], budget: Budget, *, stops: bool) -> bool:
    """``all`` and ``exists``: an error counts only where no item decides."""
    failed: EvaluationError | None = None
    for _, _, each in scopes():
        try:
            if _truth(evaluate(test, each, budget)) == stops:
                return stops
        except EvaluationError as error:
            failed = error
    if failed is not None:
        raise failed
    return not stops


def _collected(node: Node, scopes: Callable[[], Any], budget: Budget, is_map: bool) -> Any:  # noqa: FBT001  # of what it is made
    name, tests, last = str(node.value), node.parts[1:-1], node.parts[-1]
    if name == "filter":
        return [key if is_map else item for key, item, each in scopes() if _truth(evaluate(last, each, budget))]
    kept = (
        (key, evaluate(last, each, budget))
        for key, _, each in scopes()
        if all(_truth(evaluate(test, each, budget)) for test in tests)
    )
    if name == "transformMap":
        return dict(kept)
    if name == "transformMapEntry":
        return {key: value for _, entry in kept for key, value in entry.items()}
    return [value for _, value in kept]


def _of_optional(node: Node, value: Any, scope: Scope, budget: Budget) -> Optional:
    if not isinstance(value, Optional):
        raise EvaluationError("no such overload")
    if not value.held:
        return value
    found = evaluate(node.parts[1], {**scope, node.flags[0]: value.held[0]}, budget)
    return found if node.value == "optFlatMap" else Optional((found,))


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise EvaluationError("no such overload")
    return value


# --- operators --------------------------------------------------------------------------------------------------------------


def _call(node: Node, scope: Scope, budget: Budget) -> Any:
    name = str(node.value)
    if name in {"_&&_", "_||_"}:
        return _logic(node, scope, budget, decides=name == "_||_")
    if name == "_?_:_":
        chosen = _truth(evaluate(node.parts[0], scope, budget))
        return evaluate(node.parts[1 if chosen else 2], scope, budget)
    parts = node.parts
    if (space := _library(node, scope)) in FUNCTIONS:
        return FUNCTIONS[space](budget, *(evaluate(each, scope, budget) for each in parts[1:]))
    if name in {"or", "orValue"} and "member" in node.flags and len(parts) == 2:
        return _or(node, scope, budget)
    values = [evaluate(each, scope, budget) for each in parts]
    operator = _OPERATORS.get(name)
    if operator is not None:
        if name == "_+_" and values and isinstance(values[0], (str, bytes, list)):
            budget.take(_length(values[0]) // 10 + _length(values[1]) // 10)
        return operator(*values)
    return FUNCTIONS[name](budget, *values)


def _library(node: Node, scope: Scope) -> str:
    """The whole name of a function of a library, such as ``sets.contains``; ``""`` for any other."""
    first = node.parts[0] if node.parts and "member" in node.flags else None
    return f"{first.value}.{node.value}" if first is not None and first.kind == "name" and first.value not in scope else ""


def _length(value: Any) -> int:
    return len(value) if isinstance(value, (str, bytes, list)) else 0


def _or(node: Node, scope: Scope, budget: Budget) -> Any:
    value = evaluate(node.parts[0], scope, budget)
    if not isinstance(value, Optional):
        raise EvaluationError("no such overload")
    if value.held:
        return value if node.value == "or" else value.held[0]
    return evaluate(node.parts[1], scope, budget)


def _logic(node: Node, scope: Scope, budget: Budget, *, decides: bool) -> bool:
    """Both orders are one: what one side decides holds, whatever the other side's error is."""
    failed: EvaluationError | None = None
    for part in node.parts:
        try:
            if _truth(evaluate(part, scope, budget)) == decides:
                return decides
        except EvaluationError as error:
            failed = failed or error
    if failed is not None:
        raise failed
    return not decides


def _add(a: Any, b: Any) -> Any:
    if isinstance(a, (Duration, Timestamp)) and isinstance(b, (Duration, Timestamp)):
        if isinstance(a, Timestamp) and isinstance(b, Timestamp):
            raise EvaluationError("no such overload")
        kind = Timestamp if isinstance(a, Timestamp) or isinstance(b, Timestamp) else Duration
        return kind(a.nanos + b.nanos)
    if type(a) is type(b) and isinstance(a, (str, bytes)):
        return a + b
    if isinstance(a, list) and isinstance(b, list):
        return [*a, *b]
    return _arithmetic(a, b, lambda x, y: x + y)


def _subtract(a: Any, b: Any) -> Any:
    if isinstance(a, (Duration, Timestamp)) and isinstance(b, (Duration, Timestamp)):
        if isinstance(a, Duration) and isinstance(b, Timestamp):
            raise EvaluationError("no such overload")
        kind = Timestamp if isinstance(a, Timestamp) and isinstance(b, Duration) else Duration
        return kind(a.nanos - b.nanos)
    return _arithmetic(a, b, lambda x, y: x - y)


def _arithmetic(a: Any, b: Any, how: Callable[[Any, Any], Any]) -> Any:
    if not is_number(a) or type(a) is not type(b):
        raise EvaluationError("no such overload")
    return how(a, b) if isinstance(a, float) else whole(how(int(a), int(b)), like=a)


def _divide(a: Any, b: Any) -> Any:
    if isinstance(a, float) and isinstance(b, float):
        if not b:
            return math.nan if not a or math.isnan(a) else math.copysign(math.inf, a)
        return a / b
    if b == 0:
        raise EvaluationError("division by zero")
    return _arithmetic(a, b, lambda x, y: abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1))


def _modulo(a: Any, b: Any) -> Any:
    if isinstance(a, float) or isinstance(b, float):
        raise EvaluationError("no such overload")
    if b == 0:
        raise EvaluationError("modulus by zero")
    return _arithmetic(a, b, lambda x, y: abs(x) % abs(y) * (1 if x >= 0 else -1))


def _negate(a: Any) -> Any:
    if isinstance(a, float):
        return -a
    if isinstance(a, Duration):
        return Duration(-a.nanos)
    if not is_number(a) or isinstance(a, Uint):
        raise EvaluationError("no such overload")
    return whole(-a, like=a)


def _within(item: Any, value: Any) -> bool:
    if isinstance(value, list):
        return any(equal(item, each) for each in value)
    if isinstance(value, dict):
        return _hashable(item) and any(equal(item, each) for each in ((item,) if item in value else ()))
    raise EvaluationError("no such overload")


_OPERATORS: dict[str, Callable[..., Any]] = {
    "_==_": equal,
    "_!=_": lambda a, b: not equal(a, b),
    "_<_": lambda a, b: compare(a, b) < 0,
    "_<=_": lambda a, b: compare(a, b) <= 0,
    "_>_": lambda a, b: compare(a, b) > 0,
    "_>=_": lambda a, b: compare(a, b) >= 0,
    "_+_": _add,
    "_-_": _subtract,
    "_*_": lambda a, b: _arithmetic(a, b, lambda x, y: x * y),
    "_/_": _divide,
    "_%_": _modulo,
    "-_": _negate,
    "!_": lambda a: not _truth(a),
    "@in": _within,
}
_KINDS: dict[str, Callable[[Node, Scope, Budget], Any]] = {
    "const": _const,
    "name": _name,
    "select": _select,
    "has": _has,
    "index": _index,
    "list": _list,
    "map": _map,
    "loop": _loop,
    "call": _call,
}
