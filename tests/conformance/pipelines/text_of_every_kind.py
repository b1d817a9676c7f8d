# type: ignore
# fmt: off
"""Text with every kind of line end, control characters and signs that other languages read: it comes out as it went in."""

from kedge import dsl


@dsl.component
def make() -> dict:
    return {"ends": "a\nb\r\nc\u2028d\u2029e\x85f\x0bg\x0ch\x1ci", "signs": "$HOME $(x) $$ `id` {{x}} {$} %(a)s %s \\n 'q' \"q\"", "other": "\x07 \u00e9 \U0001f600"}


@dsl.component
def count(value: dict) -> list:
    return [value["ends"], [len(part) for part in value.values()], value["signs"]]


@dsl.pipeline
def pipeline() -> list:
    return count(value=make().output).output


EXPECTED = {
    "outputs": {
        "Output": [
            "a\nb\r\nc\u2028d\u2029e\x85f\x0bg\x0ch\x1ci", [18, 48, 5], "$HOME $(x) $$ `id` {{x}} {$} %(a)s %s \\n 'q' \"q\"",
        ],
    },
}
