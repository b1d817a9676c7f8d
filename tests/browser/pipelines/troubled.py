# type: ignore
# fmt: off
# As people write them for Kubeflow today, whatever our own rules say.
"""Pipelines that fail, try again, wait to be told to go on, or would like to do more in a browser than they may."""

from kedge import dsl
from kedge.dsl import HTML, Artifact, Dataset, Markdown, Output, PipelineTaskFinalStatus


@dsl.component
def load() -> int:
    print("loading")
    return 7


@dsl.component
def divide(number: int) -> float:
    """Fails."""
    print("about to divide")
    return number / 0


@dsl.component
def clean_up(status: PipelineTaskFinalStatus):
    print(f"cleaning up after {status.state}")


@dsl.pipeline(name="failing")
def failing():
    with dsl.ExitHandler(clean_up(), name="clean up"):
        divide(number=load().output)


@dsl.component
def stumble(folder: str) -> str:
    """Succeeds the second time."""
    import os

    path = os.path.join(folder, "been-here")
    if not os.path.exists(path):
        open(path, "w").close()
        raise RuntimeError("not the first time")
    return "got up"


@dsl.pipeline(name="retrying")
def retrying(folder: str) -> str:
    return stumble(folder=folder).set_retry(2, backoff_duration="0s").set_caching_options(False).output


@dsl.component
def linger(flag: str, word: str = "waiting"):
    """Prints a line, and ends when there is a file."""
    import os
    import time

    print(word, flush=True)
    while not os.path.exists(flag):
        time.sleep(0.1)
    print("going on", flush=True)


@dsl.component
def finish():
    print("finished")


@dsl.pipeline(name="waiting")
def waiting(flag: str):
    finish().after(linger(flag=flag).set_caching_options(False)).set_caching_options(False)


@dsl.component
def attack(page: Output[HTML], card: Output[Markdown], table: Output[Dataset], image: Output[Artifact]) -> str:
    """Tries to run its script wherever the dashboard shows what steps say and make."""
    code = "document.title = 'taken'; document.cookie = 'taken=1'; fetch('/taken')"
    tag = f"<script>{code}</script><img src=x onerror=\"{code}\">"
    print(f"{tag} \x1b[31mred\x1b[0m javascript:{code}")
    with open(page.path, "w") as file:
        file.write(f"<!doctype html><h1>Taken?</h1>{tag}<a href=\"javascript:{code}\">link</a>")
    with open(card.path, "w") as file:
        file.write(f"# {tag}\n\n[link](javascript:alert(1)) ![image](x\" onerror=\"alert(1))\n\n{tag}\n")
    with open(table.path, "w") as file:
        file.write(f"name,formula\n{tag},=1+1\n")
    image.path += ".svg"
    with open(image.path, "w") as file:
        file.write(f"<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"{code}\"><script>{code}</script></svg>")
    table.metadata["name"] = tag
    return tag


@dsl.pipeline(name="hostile", description="<script>document.title = 'taken'</script>")
def hostile(text: str = "<img src=x onerror=\"document.title='taken'\">") -> str:
    return attack().set_display_name("<b onmouseover=\"document.title='taken'\">attack</b>").outputs["Output"]
