"""What users do with a kind of their own: a large definition, and good and bad objects of it, as requests.

What each is answered stands in ``custom_answers.json``, as kube-apiserver 1.36 said it; `custom_requests` asks.
"""

from typing import Any

Obj = dict[str, Any]
Step = dict[str, Any]

GROUP = "lab.example.com"
JSON, MERGE, PATCH = "application/json", "application/merge-patch+json", "application/json-patch+json"


def text(**rules: Any) -> Obj:
    return {"type": "string", **rules}


def number(**rules: Any) -> Obj:
    return {"type": "integer", **rules}


def struct(properties: Obj | None = None, **rules: Any) -> Obj:
    return {"type": "object", **({"properties": properties} if properties is not None else {}), **rules}


def array(items: Obj, **rules: Any) -> Obj:
    return {"type": "array", "items": items, **rules}


def of(values: Obj, **rules: Any) -> Obj:
    return {"type": "object", "additionalProperties": values, **rules}


OPEN = {"x-kubernetes-preserve-unknown-fields": True}
ANY_PORT = {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}

SPEC = struct(
    {
        "replicas": number(format="int32", minimum=1, maximum=10, default=1),
        "minReplicas": number(format="int32"),
        "name": text(minLength=2, maxLength=8, pattern="^[a-z]+$"),
        "mode": text(enum=["fast", "slow"], default="fast"),
        "port": ANY_PORT,
        "amount": {"x-kubernetes-int-or-string": True, "pattern": r"^[0-9]+(m|Mi|Gi)?$"},
        "limits": of({"x-kubernetes-int-or-string": True}, maxProperties=2, minProperties=1),
        "template": struct(
            {
                "metadata": struct({"labels": of(text())}, **OPEN),
                "spec": struct(
                    {"containers": array(struct({"name": text(), "image": text()}, required=["name"], **OPEN))}, **OPEN
                ),
            }
        ),
        "embedded": struct(None, **OPEN, **{"x-kubernetes-embedded-resource": True}),
        "env": array(
            struct({"name": text(), "value": text(default=""), "weight": number(default=5)}, required=["name"]),
            **{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
            maxItems=10,
        ),
        "tags": array(text(maxLength=20), maxItems=4, **{"x-kubernetes-list-type": "set"}),
        "steps": array(struct({"run": text(), "tries": number()}, required=["run"]), minItems=1),
        "when": text(format="date-time"),
        "day": text(format="date"),
        "length": text(format="duration"),
        "mail": text(format="email"),
        "ip": text(format="ipv4"),
        "ip6": text(format="ipv6"),
        "id": text(format="uuid"),
        "data": text(format="byte"),
        "link": text(format="uri"),
        "host": text(format="hostname"),
        "cidr": text(format="cidr"),
        "mac": text(format="mac"),
        "strange": text(format="no-such-format"),
        "ratio": {"type": "number", "minimum": 0, "exclusiveMinimum": True, "maximum": 1, "multipleOf": 0.25},
        "less": {"type": "number", "maximum": 5, "exclusiveMaximum": True},
        "even": number(multipleOf=2),
        "big": number(format="int64"),
        "small": number(format="int32"),
        "on": {"type": "boolean"},
        "maybe": text(nullable=True),
        "never": text(),
        "withDefault": text(default="here"),
        "nullableDefault": text(default="here", nullable=True),
        "nested": struct({"cpu": number(default=2), "deep": struct({"a": text(default="x")}, default={})}),
        "filled": struct({"cpu": number(default=2)}, default={}),
        "choice": struct(
            {"a": text(), "b": text(), "c": text()},
            oneOf=[{"required": ["a"]}, {"required": ["b"]}],
        ),
        "either": struct({"a": number(), "b": number()}, anyOf=[{"required": ["a"]}, {"required": ["b"]}]),
        "both": struct(
            {"a": number(), "b": number()},
            allOf=[{"required": ["a"]}, {"properties": {"b": {"minimum": 3}}}],
        ),
        "not": struct({"a": number(), "b": number()}, **{"not": {"required": ["a", "b"]}}),
        "levels": array(array(number(maximum=3))),
        "table": of(struct({"x": number(minimum=0)}, required=["x"])),
        "range": struct(
            {"low": number(), "high": number()},
            required=["low", "high"],
            **{
                "x-kubernetes-validations": [
                    {"rule": "self.low <= self.high", "message": "low must not be above high"},
                    {
                        "rule": "self.high - self.low < 100",
                        "messageExpression": "self.low < 0 ? 'too wide, and below 0' : 'too wide'",
                    },
                ]
            },
        ),
        "fixed": text(**{"x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "fixed may not change"}]}),
        "growing": number(
            **{
                "x-kubernetes-validations": [
                    {
                        "rule": "!oldSelf.hasValue() || self >= oldSelf.value()",
                        "optionalOldSelf": True,
                        "message": "may only grow",
                    }
                ]
            }
        ),
        "colour": text(
            maxLength=20,
            **{
                "x-kubernetes-validations": [
                    {"rule": "self in ['red', 'green']", "reason": "FieldValueForbidden"},
                    {"rule": "self.size() < 10"},
                ]
            },
        ),
        "pair": struct(
            {"left": text(), "right": text()},
            **{
                "x-kubernetes-validations": [
                    {"rule": "has(self.left) == has(self.right)", "fieldPath": ".right", "reason": "FieldValueRequired"},
                ]
            },
        ),
        "items": array(
            struct({"key": text(maxLength=30), "value": number()}, required=["key"]),
            maxItems=20,
            **{
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["key"],
                "x-kubernetes-validations": [
                    {"rule": "self.all(i, i.key.startsWith('k-'))", "message": "keys begin with k-"},
                    {"rule": "self.filter(i, has(i.value)).map(i, i.value).sum() <= 10", "message": "at most 10 together"},
                    {"rule": "oldSelf.all(o, self.exists(i, i.key == o.key))", "message": "nothing is taken out"},
                ],
            },
        ),
    },
    required=["name"],
    **{
        "x-kubernetes-validations": [
            {"rule": "!has(self.minReplicas) || self.minReplicas <= self.replicas", "message": "minReplicas is above replicas"},
        ]
    },
)
STATUS = struct(
    {
        "phase": text(enum=["New", "Done"]),
        "ready": number(),
        "selector": text(),
        "conditions": array(
            struct({"type": text(), "status": text()}, required=["type", "status"]),
            **{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
        ),
    }
)
SCHEMA = struct({"spec": SPEC, "status": STATUS}, required=["spec"])
COLUMNS = [
    {"name": "Mode", "type": "string", "jsonPath": ".spec.mode", "description": "How it goes."},
    {"name": "Replicas", "type": "integer", "jsonPath": ".spec.replicas"},
    {"name": "On", "type": "boolean", "jsonPath": ".spec.on"},
    {"name": "Ratio", "type": "number", "jsonPath": ".spec.ratio"},
    {"name": "Ready", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status'},
    {"name": "Tag", "type": "string", "jsonPath": ".spec.tags[0]"},
    {"name": "Tags", "type": "string", "jsonPath": ".spec.tags[*]"},
    {"name": "Label", "type": "string", "jsonPath": ".metadata.labels.app\\.kubernetes\\.io/name", "priority": 1},
    {"name": "Everything", "type": "string", "jsonPath": ".spec.nested", "priority": 1},
    {"name": "Wrong", "type": "integer", "jsonPath": ".spec.mode", "priority": 1},
    {"name": "When", "type": "date", "jsonPath": ".spec.when"},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
]


def definition(plural: str, kind: str, schema: Obj, **more: Any) -> Obj:
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural},
            "versions": [version],
            **more,
        },
    }


def trials() -> Obj:
    """The large definition: `Trial`, in two versions."""
    made = definition("trials", "Trial", SCHEMA)
    made["spec"]["names"] |= {"shortNames": ["tri"], "categories": ["all", "lab"]}
    (v1,) = made["spec"]["versions"]
    v1 |= {
        "subresources": {
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.ready",
                "labelSelectorPath": ".status.selector",
            },
        },
        "additionalPrinterColumns": COLUMNS,
        "selectableFields": [{"jsonPath": ".spec.mode"}],
    }
    old = {**v1, "name": "v1beta1", "storage": False}
    made["spec"]["versions"] = [v1, old]
    return made


# --- requests: {name} and {namespace} are filled in -------------------------------------------------------------------------


def _body(spec: Any, more: Obj | None = None, version: str = "v1") -> Obj:
    return {"apiVersion": f"{GROUP}/{version}", "kind": "Trial", "metadata": {"name": "{name}"}, "spec": spec, **(more or {})}


def create(_query: str = "", _more: Obj | None = None, **spec: Any) -> Step:
    return {"method": "POST", "path": "trials" + _query, "body": _body({"name": "abc", **spec}, _more)}


def merge(body: Obj, sub: str = "", query: str = "") -> Step:
    return {"method": "PATCH", "path": "trials/{name}" + sub + query, "body": body, "type": MERGE}


def change(**spec: Any) -> Step:
    return merge({"spec": spec})


def read(sub: str = "") -> Step:
    return {"method": "GET", "path": "trials/{name}" + sub}


STRICT, WARN, IGNORE = "?fieldValidation=Strict", "?fieldValidation=Warn", "?fieldValidation=Ignore"

OBJECTS: dict[str, list[Step]] = {
    "the smallest object gets its defaults": [create()],
    "everything right": [
        create(
            replicas=3,
            minReplicas=2,
            name="abcdefgh",
            mode="slow",
            port="http",
            amount="10Mi",
            limits={"cpu": 1, "memory": "1Gi"},
            env=[{"name": "A"}, {"name": "B", "value": "b"}],
            tags=["x", "y"],
            steps=[{"run": "a", "tries": 2}],
            ratio=0.75,
            even=4,
            on=True,
            levels=[[1, 2], [3]],
            table={"r": {"x": 1}},
            range={"low": 1, "high": 5},
            colour="red",
            pair={"left": "l", "right": "r"},
            items=[{"key": "k-1", "value": 4}, {"key": "k-2"}],
        )
    ],
    "an integer above the maximum": [create(replicas=11)],
    "an integer below the minimum": [create(replicas=0)],
    "an integer that is a text": [create(replicas="3")],
    "an integer that is a fraction": [create(replicas=1.5)],
    "an integer written as a float": [create(replicas=2.0)],
    "an integer that is a boolean": [create(replicas=True)],
    "a text that is a number": [create(name=5)],
    "a text that is a list": [create(name=["a"])],
    "an object that is a text": [create(template="no")],
    "a list that is an object": [create(steps={"run": "a"})],
    "a boolean that is a text": [create(on="true")],
    "a number that is a text": [create(ratio="0.5")],
    "a required field is missing": [{"method": "POST", "path": "trials", "body": _body({"replicas": 1})}],
    "spec is missing": [
        {
            "method": "POST",
            "path": "trials",
            "body": {"apiVersion": f"{GROUP}/v1", "kind": "Trial", "metadata": {"name": "{name}"}},
        }
    ],
    "spec is null": [{"method": "POST", "path": "trials", "body": _body(None)}],
    "spec is a list": [{"method": "POST", "path": "trials", "body": _body([])}],
    "a text too short": [create(name="a")],
    "a text too long": [create(name="abcdefghi")],
    "a text that breaks its pattern": [create(name="ABC")],
    "a text that breaks several rules": [create(name="ABCDEFGHIJ")],
    "a text outside the enum": [create(mode="medium")],
    "a number for an enum": [create(mode=3)],
    "int-or-string with an integer": [create(port=80)],
    "int-or-string with a boolean": [create(port=True)],
    "int-or-string with a list": [create(port=[1])],
    "int-or-string with a fraction": [create(port=1.5)],
    "a pattern of int-or-string": [create(amount="ten")],
    "an integer passes the pattern of int-or-string": [create(amount=10)],
    "too many properties": [create(limits={"a": 1, "b": 2, "c": 3})],
    "too few properties": [create(limits={})],
    "a value of a map of the wrong type": [create(limits={"a": True})],
    "a pod template keeps what is unknown": [
        create(
            template={
                "metadata": {"labels": {"a": "b"}, "other": 1},
                "spec": {"containers": [{"name": "c", "ports": [{"p": 1}]}], "volumes": []},
                "gone": 1,
            }
        )
    ],
    "a container without a name": [create(template={"spec": {"containers": [{"image": "x"}]}})],
    "a label that is a number": [create(template={"metadata": {"labels": {"a": 1}}})],
    "an embedded resource": [
        create(embedded={"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"a": "b"}})
    ],
    "an embedded resource without a kind": [create(embedded={"apiVersion": "v1", "metadata": {"name": "x"}})],
    "an embedded resource with bad metadata": [
        create(embedded={"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "Not Right!"}})
    ],
    "an embedded resource whose metadata has unknown fields": [
        create(embedded={"apiVersion": "v1", "kind": "X", "metadata": {"name": "x", "nonsense": 1}})
    ],
    "defaults in a list of maps": [create(env=[{"name": "A"}, {"name": "B", "weight": 1}])],
    "two of one key": [create(env=[{"name": "A"}, {"name": "B"}, {"name": "A"}])],
    "a key that is missing": [create(env=[{"value": "x"}])],
    "two equal members of a set": [create(tags=["x", "y", "x"])],
    "too many items": [create(tags=["a", "b", "c", "d", "e"])],
    "too few items": [create(steps=[])],
    "an item that lacks a field": [create(steps=[{"run": "a"}, {"tries": 1}])],
    "an item of the wrong type": [create(steps=[{"run": "a"}, "b"])],
    "an item of a list of lists": [create(levels=[[1], [2, 9]])],
    "a map of objects": [create(table={"r": {"x": -1}, "s": {}})],
    "good formats": [
        create(
            when="2026-01-02T03:04:05Z",
            day="2026-01-02",
            length="3m",
            mail="a@b.org",
            ip="10.0.0.1",
            ip6="::1",
            id="123e4567-e89b-12d3-a456-426614174000",
            data="aGk=",
            link="https://a.b/c",
            host="a.b",
            cidr="10.0.0.0/8",
            mac="01:02:03:04:05:06",
            strange="anything",
        )
    ],
    "a bad date-time": [create(when="yesterday")],
    "a date-time with an offset and a fraction": [create(when="2026-01-02T03:04:05.678+02:00")],
    "a bad date": [create(day="2026-13-40")],
    "a bad duration": [create(length="soon")],
    "a duration in words": [create(length="3 weeks")],
    "a bad email": [create(mail="nobody")],
    "a bad ipv4": [create(ip="300.0.0.1")],
    "a bad ipv6": [create(ip6="10.0.0.1")],
    "a bad uuid": [create(id="1234")],
    "bad base64": [create(data="***")],
    "a bad uri": [create(link="no uri")],
    "a bad hostname": [create(host="-a-")],
    "a bad cidr": [create(cidr="10.0.0.0")],
    "a bad mac": [create(mac="xx")],
    "a number at an exclusive minimum": [create(ratio=0)],
    "a number at an exclusive maximum": [create(less=5)],
    "a number that is no multiple": [create(ratio=0.3)],
    "an odd number": [create(even=3)],
    "an integer beyond int32": [create(small=3000000000)],
    "an integer of 64 bits": [create(big=9007199254740993)],
    "null where nullable": [create(maybe=None)],
    "null where not nullable": [create(never=None)],
    "null with a default": [create(withDefault=None)],
    "null with a default where nullable": [create(nullableDefault=None)],
    "null in a list": [create(tags=["a", None])],
    "defaults below an object that is there": [create(nested={})],
    "one of two": [create(choice={"a": "x"})],
    "none of two": [create(choice={"c": "x"})],
    "both of one of two": [create(choice={"a": "x", "b": "y"})],
    "neither of any": [create(either={})],
    "all of, first": [create(both={"b": 3})],
    "all of, second": [create(both={"a": 1, "b": 1})],
    "not": [{"method": "POST", "path": "trials", "body": _body({"name": "abc", "not": {"a": 1, "b": 2}})}],
    "an unknown field, strict": [create(STRICT, nonsense=1, steps=[{"run": "a", "other": 2}])],
    "an unknown field, warned": [create(WARN, nonsense=1)],
    "an unknown field, ignored": [create(IGNORE, nonsense=1, steps=[{"run": "a", "other": 2}])],
    "an unknown field at the root": [create(STRICT, {"nonsense": 1})],
    "an unknown field of metadata": [
        {
            "method": "POST",
            "path": "trials" + STRICT,
            "body": {**_body({"name": "abc"}), "metadata": {"name": "{name}", "nonsense": 1}},
        }
    ],
    "metadata of a wrong type": [
        {
            "method": "POST",
            "path": "trials",
            "body": {**_body({"name": "abc"}), "metadata": {"name": "{name}", "labels": {"a": 1}}},
        }
    ],
    "a name that is none": [
        {"method": "POST", "path": "trials", "body": {**_body({"name": "abc"}), "metadata": {"name": "Not_Right"}}}
    ],
    "no name": [{"method": "POST", "path": "trials", "body": {**_body({"name": "abc"}), "metadata": {}}}],
    "another kind": [{"method": "POST", "path": "trials", "body": {**_body({"name": "abc"}), "kind": "Other"}}],
    "another group": [{"method": "POST", "path": "trials", "body": {**_body({"name": "abc"}), "apiVersion": "v1"}}],
    "many faults at once": [create(replicas=11, mode="x", env=[{"value": "a"}], ratio=2, steps=[])],
    "a rule": [create(range={"low": 5, "high": 1})],
    "a rule with an expression for its message": [create(range={"low": 1, "high": 500})],
    "a rule of the whole spec": [create(minReplicas=5)],
    "a rule is not looked at where a type is wrong": [create(minReplicas=5, replicas="x")],
    "a rule with a reason": [create(colour="blue")],
    "a rule without a message": [create(colour="red and also green")],
    "a rule with a path": [create(pair={"left": "x"})],
    "rules of a list": [create(items=[{"key": "a"}, {"key": "k-b", "value": 11}])],
    "a transition that is allowed": [create(fixed="a"), change(fixed="a", replicas=2)],
    "a transition that is refused": [create(fixed="a"), change(fixed="b")],
    "a transition from nothing": [create(), change(fixed="b")],
    "an optional old self": [create(growing=3), change(growing=4), change(growing=2)],
    "nothing is taken out of a list": [create(items=[{"key": "k-a"}, {"key": "k-b"}]), change(items=[{"key": "k-a"}])],
    "an update that breaks a rule": [create(), change(replicas=20)],
    "generation counts spec alone": [
        create(),
        change(mode="slow"),
        merge({"metadata": {"labels": {"a": "b"}}}),
        merge({"status": {"phase": "New"}}, "/status"),
        read(),
    ],
    "status in the main path is ignored": [
        create(_more={"status": {"phase": "Done"}}),
        merge({"status": {"phase": "Done"}}),
        read(),
    ],
    "spec in the status path is ignored": [
        create(),
        merge({"spec": {"replicas": 5}, "status": {"ready": 1}, "metadata": {"labels": {"a": "b"}}}, "/status"),
        read(),
    ],
    "a bad status": [create(), merge({"status": {"phase": "Old"}}, "/status")],
    "a bad condition": [
        create(),
        merge({"status": {"conditions": [{"type": "A", "status": "True"}, {"type": "A", "status": "False"}]}}, "/status"),
    ],
    "scale is read": [create(replicas=3), merge({"status": {"ready": 2, "selector": "a=b"}}, "/status"), read("/scale")],
    "scale is written": [create(), merge({"spec": {"replicas": 4}}, "/scale"), read()],
    "scale above the maximum": [create(), merge({"spec": {"replicas": 40}}, "/scale")],
    "scale below nothing": [create(), merge({"spec": {"replicas": -1}}, "/scale")],
    "another version is served": [
        create(),
        {"method": "GET", "path": "/apis/lab.example.com/v1beta1/namespaces/{namespace}/trials/{name}"},
    ],
    "another version is written": [
        {
            "method": "POST",
            "path": "/apis/lab.example.com/v1beta1/namespaces/{namespace}/trials",
            "body": _body({"name": "abc"}, None, "v1beta1"),
        },
        read(),
    ],
    "a JSON patch": [
        create(),
        {
            "method": "PATCH",
            "path": "trials/{name}",
            "type": PATCH,
            "body": [{"op": "add", "path": "/spec/tags", "value": ["a"]}],
        },
    ],
    "a JSON patch with a wrong type": [
        create(),
        {
            "method": "PATCH",
            "path": "trials/{name}",
            "type": PATCH,
            "body": [{"op": "replace", "path": "/spec/replicas", "value": "a"}],
        },
    ],
    "a JSON patch that misses": [
        create(),
        {"method": "PATCH", "path": "trials/{name}", "type": PATCH, "body": [{"op": "remove", "path": "/spec/none"}]},
    ],
    "a strategic patch": [
        create(),
        {
            "method": "PATCH",
            "path": "trials/{name}",
            "type": "application/strategic-merge-patch+json",
            "body": {"spec": {"replicas": 2}},
        },
    ],
    "a null in a merge patch brings the default back": [create(mode="slow"), change(mode=None)],
    "a table": [
        create(
            _more={"metadata": {"name": "{name}", "labels": {"app.kubernetes.io/name": "x"}}},
            tags=["a", "b"],
            ratio=0.5,
            on=True,
            nested={},
            when="not-read",
        ),
        create(
            _more={"metadata": {"name": "{name}", "labels": {"app.kubernetes.io/name": "x"}}},
            tags=["a", "b"],
            ratio=0.5,
            on=True,
            nested={},
        ),
        merge({"status": {"conditions": [{"type": "Ready", "status": "True"}]}}, "/status"),
        {"method": "GET", "path": "trials/{name}?includeObject=None", "accept": "application/json;as=Table;g=meta.k8s.io;v=v1"},
    ],
    "a table of an empty object": [
        create(),
        {"method": "GET", "path": "trials/{name}?includeObject=None", "accept": "application/json;as=Table;g=meta.k8s.io;v=v1"},
    ],
    "a field selector": [
        create(mode="slow"),
        {"method": "GET", "path": "trials?fieldSelector=spec.mode%3Dslow,metadata.name%3D{name}"},
    ],
    "a field selector of a field that is not selectable": [{"method": "GET", "path": "trials?fieldSelector=spec.replicas%3D1"}],
    "a version that is not served": [{"method": "GET", "path": "/apis/lab.example.com/v9/namespaces/{namespace}/trials"}],
    "a dry run": [create("?dryRun=All"), read()],
    "an update without a resourceVersion": [create(), {"method": "PUT", "path": "trials/{name}", "body": _body({"name": "abc"})}],
}

# Ratcheting: what was stored under an older definition may stay as it is. Steps on the definition are of "tightened".
LOOSE = struct(
    {
        "spec": struct(
            {
                "size": number(),
                "word": text(maxLength=50),
                "list": array(struct({"a": number(), "b": number()}), maxItems=9),
                "other": number(),
            }
        )
    }
)
TIGHT = struct(
    {
        "spec": struct(
            {
                "size": number(maximum=5),
                "word": text(maxLength=5, **{"x-kubernetes-validations": [{"rule": "self != 'long word'"}]}),
                "list": array(struct({"a": number(maximum=3), "b": number()}), maxItems=9),
                "other": number(default=7, maximum=9),
                "needed": text(),
            },
            required=["needed"],
        )
    }
)
# Objects that were made under the first, and changes of them under the second.
OLD: dict[str, Obj] = {
    "bad": {"size": 9, "word": "a word", "list": [{"a": 9, "b": 1}], "other": 20},
    "worded": {"size": 9, "word": "long word"},
    "young": {"size": 1},
}


def _tightened(name: str, spec: Obj | None = None) -> tuple[str, Step]:
    body: Obj = {"metadata": {"labels": {"x": "y"}}} if spec is None else {"spec": spec}
    return name, {"method": "PATCH", "path": "tightened/{name}", "type": MERGE, "body": body}


TIGHTENED: dict[str, tuple[str, Step]] = {
    "what is unchanged may stay": _tightened("bad"),
    "another field is mended": _tightened("bad", {"needed": "n"}),
    "a number changes and is still bad": _tightened("bad", {"size": 8}),
    "a text changes and is still bad": _tightened("bad", {"word": "another"}),
    "a number with a default is still bad": _tightened("bad", {"other": 30}),
    "a bad item changes beside its fault": _tightened("bad", {"list": [{"a": 9, "b": 2}]}),
    "a bad item gets company": _tightened("bad", {"list": [{"a": 9, "b": 1}, {"a": 9}]}),
    "what breaks a rule may stay": _tightened("worded"),
    "a field beside it is mended": _tightened("worded", {"needed": "n"}),
    "what lacks a field may stay": _tightened("young"),
    "what lacks a field and changes may not": _tightened("young", {"size": 2}),
}
