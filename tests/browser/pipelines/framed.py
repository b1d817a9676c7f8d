# type: ignore
# fmt: off
# As people write them for Kubeflow today, whatever our own rules say.
"""A pipeline whose artifacts try to leave the place in which the dashboard shows them."""

from kedge import dsl
from kedge.dsl import HTML, Artifact, Dataset, Markdown, Output


@dsl.component
def escape(page: Output[HTML], card: Output[Markdown], table: Output[Dataset], image: Output[Artifact], odd: Output[Dataset]):
    """Writes what would like to do more than it may."""
    code = "window.taken = 1; document.title = 'taken'; document.cookie = 'taken=1'"
    tag = "<script>" + code + "</script><img src=x onerror=\"" + code + "\">"
    with open(page.path, "w") as file:
        file.write("""<!doctype html><title>Report</title><p id=told></p><script>
            const told = [], tell = (name, got) => told.push(name + ': ' + (got ? 'YES' : 'no'));
            const tried = (name, of) => { try { tell(name, of()); } catch { tell(name, false); } };
            (async () => {
                tried('cookie', () => { document.cookie = 'taken=1'; return document.cookie; });
                try { await fetch('/runs', {credentials: 'include'}); tell('fetch', true); } catch { tell('fetch', false); }
                tried('parent', () => window.parent.document.title);
                tried('top', () => { window.top.location = '/taken'; return true; });
                tried('storage', () => localStorage.length + 1);
                document.getElementById('told').textContent = told.concat('end').join(', ');
            })();
        </script>""")
    with open(card.path, "w") as file:
        file.write(f"# {tag}\n\n[link](javascript:alert(1)) [here](/sign-out) ![image](x\" onerror=\"alert(1)) ![far](http://192.0.2.1/x.png)\n\n{tag}\n")
    with open(table.path, "w") as file:
        file.write(f"{tag.replace(',', ' ')},formula\n{tag.replace(',', ' ')},=1+1\n")
    image.path += ".svg"
    with open(image.path, "w") as file:
        file.write(f"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"30\" height=\"30\" onload=\"{code}\"><script>{code}</script><rect width=\"30\" height=\"30\"/></svg>")
    odd.path += "/<img src=x onerror=alert(1)>"
    import os
    os.makedirs(os.path.dirname(odd.path), exist_ok=True)
    with open(odd.path + ".txt", "w") as file:
        file.write(tag)
    odd.path = os.path.dirname(odd.path)
    odd.metadata["<script>"] = tag


@dsl.pipeline(name="framed")
def framed():
    escape()
