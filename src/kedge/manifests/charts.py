"""The same objects as files: a Helm chart and a kustomize base.

A chart has the structure that the options gave it (how many hubs, which database, whose Runs); what it leaves open is in its
``values.yaml``: the image, addresses, names of Secrets, variables and resources, and the release's namespace.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from kedge.kube.core import PERSISTENT_VOLUME_CLAIM
from kedge.kube.crds import CRD
from kedge.kube.kinds import Kind, Obj
from kedge.kube.yaml import write
from kedge.manifests import hub
from kedge.manifests.options import Options

# An "@" begins no plain scalar of YAML, so what stands alone is written in quotes.
_NAMESPACE, _VARIABLES = "@namespace@", "@variables@"
_ABOUT = {
    "image": "Kedge's image, as nodes pull it; it also stages the files of steps.",
    "artifacts": "Where artifacts go: s3://bucket/prefix, gs://… or az://….",
    "artifactsSecret": "The Secret whose keys, such as AWS_ACCESS_KEY_ID, the hub gets as variables.",
    "databaseSecret": "The Secret whose key url is PostgreSQL's address.",
    "serviceAccount": "The service account as which the hub runs.",
    "replicas": "Hubs: one works, the others stand by.",
    "storage": "Size of the claim for the history.",
}
_SET = re.compile(r"^( *)- name: ([A-Z_]+)\n(?:\1  .*\n)+", re.MULTILINE)
"""One variable of a container, with where its value comes from."""
_PLACED = {
    "imagePullSecrets": "The Secrets with which nodes pull the image.",
    "nodeSelector": "Labels of the nodes that may have the hub.",
    "tolerations": "What the hub tolerates of nodes.",
    "affinity": "Which nodes the hub would rather have, and beside what it runs.",
    "priorityClassName": "The class that says before whom the hub gets a node.",
}
"""Fields of the Pod's that the values say, or leave out."""
_GIVEN = re.compile(rf"^( *)({'|'.join(['resources', *_PLACED])}): '@\2@'\n", re.MULTILINE)
"""A field whose whole value is the values' of its name."""
_GIVEN_TEMPLATE = """\
{indent}{{{{- with .Values.{name} }}}}
{indent}{name}:
{indent}  {{{{- toYaml . | nindent {deeper} }}}}
{indent}{{{{- end }}}}
"""
_VARIABLES_TEMPLATE = """\
{indent}{{{{- range $name, $value := .Values.env }}}}
{indent}- name: {{{{ $name }}}}
{indent}  value: {{{{ $value | quote }}}}
{indent}{{{{- end }}}}
"""


def kustomize(objects: Sequence[Obj]) -> dict[str, str]:
    """A kustomize base: the text of each file by its name."""
    files = {_file(obj): write(obj) for obj in objects}
    listed = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": list(files)}
    return {"kustomization.yaml": write(listed), **files}


def helm(options: Options, served: Iterable[Kind]) -> dict[str, str]:
    """A Helm chart: the text of each file by its name."""
    values = _values(options)
    marked = {name: _mark(name) for name in values if name != "replicas"}
    names = tuple(_NAMESPACE if name == options.namespace else name for name in options.watched)
    generic = replace(
        options,
        namespace=_NAMESPACE,
        namespaces=options.namespaces if options.everywhere else names,
        image=marked["image"],
        artifacts=marked["artifacts"],
        artifacts_secret=marked.get("artifactsSecret", ""),
        database_secret=marked.get("databaseSecret", ""),
        service_account=marked.get("serviceAccount", ""),
        storage=marked.get("storage", options.storage),
        env={_VARIABLES: _VARIABLES},
    )
    objects = hub.objects(generic, served)
    pod = _pod(objects)
    placed = {name: pod.get(name, empty) for name, empty in zip(_PLACED, ([], {}, [], {}, ""), strict=True)}
    pod |= {name: _mark(name) for name in _PLACED}
    resources = pod["containers"][0]["resources"]
    pod["containers"][0]["resources"] = _mark("resources")
    chart = {"apiVersion": "v2", "name": hub.NAME, "type": "application", "version": _semantic(options.version)}
    chart |= {"appVersion": options.version, "description": "Kedge: Kubeflow's APIs in one Deployment."}
    files = {"Chart.yaml": write(chart), "values.yaml": _values_text(values, options, resources, placed)}
    for obj in objects:
        if obj["kind"] == CRD.kind:
            # Several releases share it: as a template it would be the first one's alone, and Helm would refuse the second.
            files[f"crds/{_file(obj)}"] = write(obj)
        else:
            files[f"templates/{_file(obj).replace(_NAMESPACE, 'own')}"] = _template(obj, values)
    return files


def _values(options: Options) -> dict[str, Any]:
    """What a chart leaves open, with what was given for it."""
    found: dict[str, Any] = {"image": options.image, "artifacts": options.artifacts}
    if options.artifacts_secret:
        found["artifactsSecret"] = options.artifacts_secret
    if options.database_secret:
        found["databaseSecret"] = options.database_secret
    else:
        found["storage"] = options.storage
    if options.service_account:
        found["serviceAccount"] = options.service_account
    if options.elects:
        found["replicas"] = options.replicas
    return found


def _values_text(values: Mapping[str, Any], options: Options, resources: Obj, placed: Obj) -> str:
    lines = [f"# {_ABOUT[name]}\n{write({name: value})}" for name, value in values.items()]
    lines.append(f"# More variables of the hub.\n{write({'env': dict(options.env)})}")
    lines.append(f"# What the hub's container is given.\n{write({'resources': resources})}")
    lines += [f"# {_PLACED[name]}\n{write({name: value})}" for name, value in placed.items()]
    return "\n".join(lines)


def _template(obj: Obj, values: Mapping[str, Any]) -> str:
    meta = dict(obj["metadata"])
    annotations = {name: value for name, value in (meta.get("annotations") or {}).items() if name != hub.OPTIONS_ANNOTATION}
    if obj["kind"] == PERSISTENT_VOLUME_CLAIM.kind:
        annotations["helm.sh/resource-policy"] = "keep"  # deleting it would delete data
    meta.pop("annotations", None)
    meta["labels"] = {**meta.get("labels", {}), "app.kubernetes.io/managed-by": "@managed-by@"}
    text = write({**obj, "metadata": {**meta, **({"annotations": annotations} if annotations else {})}})
    text = re.sub(r"\{\{|\}\}", lambda found: f'{{{{ "{found[0]}" }}}}', text)
    text = _SET.sub(_unless_given, text)
    text = re.sub(rf"^( *)- name: '{_VARIABLES}'\n +value: '{_VARIABLES}'\n", _variables, text, flags=re.MULTILINE)
    text = _GIVEN.sub(_given, text)
    if "replicas" in values and obj["kind"] == "Deployment":
        text = re.sub(r"^  replicas: \d+$", "  replicas: {{ .Values.replicas }}", text, flags=re.MULTILINE)
    text = text.replace(_NAMESPACE, "{{ .Release.Namespace }}").replace("@managed-by@", "{{ .Release.Service }}")
    for name in values:
        text = text.replace(_mark(name), f'{{{{ required "{name} is required" .Values.{name} }}}}')
    return text


def _unless_given(found: re.Match[str]) -> str:
    """A variable that the values may have too: it is written once, as they have it."""
    return f'{found[1]}{{{{- if not (hasKey (.Values.env | default dict) "{found[2]}") }}}}\n{found[0]}{found[1]}{{{{- end }}}}\n'


def _variables(found: re.Match[str]) -> str:
    return _VARIABLES_TEMPLATE.format(indent=found[1])


def _given(found: re.Match[str]) -> str:
    return _GIVEN_TEMPLATE.format(indent=found[1], name=found[2], deeper=len(found[1]) + 2)


def _mark(name: str) -> str:
    return f"@{name}@"


def _pod(objects: Sequence[Obj]) -> Obj:
    (deployment,) = (obj for obj in objects if obj["kind"] == "Deployment")
    pod: Obj = deployment["spec"]["template"]["spec"]
    return pod


def _file(obj: Obj) -> str:
    meta = obj["metadata"]
    place = f"-{meta['namespace']}" if obj["kind"] in {"Role", "RoleBinding", "ServiceAccount"} else ""
    return f"{obj['kind'].lower()}-{meta['name']}{place}.yaml"


def _semantic(version: str) -> str:
    """A version as Helm wants it.

    Examples:
        >>> _semantic("0.1"), _semantic("1.2.0rc1")
        ('0.1.0', '1.2.0-rc1')
    """
    found = re.match(r"(\d+)\.?(\d+)?\.?(\d+)?[.-]?(.*)", version)
    if found is None:
        return f"0.0.0-{json.dumps(version)[1:-1]}"
    return ".".join(part or "0" for part in found.group(1, 2, 3)) + (f"-{found[4]}" if found[4] else "")
