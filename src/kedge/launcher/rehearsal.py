"""One step for nothing, in a forked process that waits for its request.

What a process touches for the first time after a fork, the kernel copies, page by page: a millisecond for all that the smallest
step touches, as long as everything else that it does. So it is done before anybody waits for it.
"""

import json
import linecache
import os
import sys

from kedge.dsl.template import HEADER

from . import report
from .run import call
from .step import Code, Step

_FILE = "<rehearsal>"
_STEP = json.dumps(
    {
        "terminationMessage": True,
        "executorInput": {
            "inputs": {"parameterValues": {"text": "a", "number": 1}},
            "outputs": {"parameters": {"Output": {"outputFile": "/tmp/kedge/outputs/Output"}}},  # noqa: S108  # never opened
        },
    }
)
_CODE = json.dumps(
    {
        "function": "step",
        "source": f"# kedge: file={_FILE} line=1\n{HEADER}\n"
        f"# kedge: file={_FILE} line=2\ndef step(number: int, text: str = '') -> int:\n    return number + len(text)\n",
    }
)


def rehearse() -> None:
    """Do what a step does; nothing is written, and nothing of it is left to be seen by the step that follows."""
    main = sys.modules["__main__"]
    outputs = call(Step(json.loads(_STEP)), Code(json.loads(_CODE)))
    report.write_outputs(outputs, os.devnull)
    sys.modules["__main__"] = main
    linecache.cache.pop(_FILE, None)
