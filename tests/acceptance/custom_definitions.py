"""Definitions that break a rule, for `custom_requests`: what kube-apiserver says of each stands in ``custom_answers.json``."""

from collections.abc import Callable
from typing import Any

from custom_cases import Obj, array, definition, number, of, struct, text

OPEN = {"x-kubernetes-preserve-unknown-fields": True}


def of_spec(spec: Obj) -> Obj:
    return definition("bads", "Bad", struct({"spec": spec}))


def rule(text_: str, **more: Any) -> Obj:
    return {"x-kubernetes-validations": [{"rule": text_, **more}]}


def changed(change: Callable[[Obj], Any]) -> Obj:
    made = definition("bads", "Bad", struct({"spec": struct({"a": number()})}))
    change(made)
    return made


def spec_with(**values: Any) -> Obj:
    return changed(lambda made: made["spec"].update(values))


def names_with(**values: Any) -> Obj:
    return changed(lambda made: made["spec"]["names"].update(values))


def version_with(**values: Any) -> Obj:
    return changed(lambda made: made["spec"]["versions"][0].update(values))


BAD: dict[str, Obj] = {
    "a good one": of_spec(struct({"a": number()})),
    # names and versions
    "a name that does not fit": changed(lambda made: made["metadata"].update(name="other.lab.example.com")),
    "no group": changed(lambda made: made["spec"].pop("group")),
    "a group without a dot": changed(lambda made: (made["spec"].update(group="lab"), made["metadata"].update(name="bads.lab"))),
    "a group of Kubernetes": changed(
        lambda made: (made["spec"].update(group="lab.k8s.io"), made["metadata"].update(name="bads.lab.k8s.io"))
    ),
    "a bad scope": spec_with(scope="Galaxy"),
    "no scope": changed(lambda made: made["spec"].pop("scope")),
    "no versions": spec_with(versions=[]),
    "no storage version": version_with(storage=False),
    "two storage versions": changed(lambda made: made["spec"]["versions"].append({**made["spec"]["versions"][0], "name": "v2"})),
    "two versions of a name": changed(
        lambda made: made["spec"]["versions"].append({**made["spec"]["versions"][0], "storage": False})
    ),
    "a bad version": version_with(name="Version 1"),
    "no version is served": version_with(served=False),
    "no plural": changed(lambda made: made["spec"]["names"].pop("plural")),
    "a plural with capitals": names_with(plural="Bads"),
    "no kind": changed(lambda made: made["spec"]["names"].pop("kind")),
    "a kind that is none": names_with(kind="Not Good"),
    "a bad short name": names_with(shortNames=["UP"]),
    "a bad category": names_with(categories=["All"]),
    "webhook conversion without a webhook": spec_with(conversion={"strategy": "Webhook"}),
    "an unknown conversion": spec_with(conversion={"strategy": "Magic"}),
    "preserveUnknownFields": spec_with(preserveUnknownFields=True),
    "no schema": changed(lambda made: made["spec"]["versions"][0].pop("schema")),
    "an empty schema": version_with(schema={}),
    # columns, selectable fields, subresources
    "a column without a path": version_with(additionalPrinterColumns=[{"name": "A", "type": "string"}]),
    "a column without a name": version_with(additionalPrinterColumns=[{"type": "string", "jsonPath": ".spec.a"}]),
    "a column of a bad type": version_with(additionalPrinterColumns=[{"name": "A", "type": "text", "jsonPath": ".spec.a"}]),
    "a column of a bad format": version_with(
        additionalPrinterColumns=[{"name": "A", "type": "integer", "format": "huge", "jsonPath": ".spec.a"}]
    ),
    "a column with a bad path": version_with(additionalPrinterColumns=[{"name": "A", "type": "string", "jsonPath": "spec.a"}]),
    "a column with a broken path": version_with(additionalPrinterColumns=[{"name": "A", "type": "string", "jsonPath": ".spec["}]),
    "a selectable field that is not in the schema": version_with(selectableFields=[{"jsonPath": ".spec.none"}]),
    "a selectable field that is an object": version_with(selectableFields=[{"jsonPath": ".spec"}]),
    "a selectable field of metadata": version_with(selectableFields=[{"jsonPath": ".metadata.name"}]),
    "a selectable field twice": version_with(selectableFields=[{"jsonPath": ".spec.a"}, {"jsonPath": ".spec.a"}]),
    "a selectable field of a list": version_with(selectableFields=[{"jsonPath": ".spec.b[0]"}]),
    "a scale without paths": version_with(subresources={"scale": {}}),
    "a scale with a path outside spec": version_with(
        subresources={"scale": {"specReplicasPath": ".status.a", "statusReplicasPath": ".spec.a"}}
    ),
    "a scale with a path into a list": version_with(
        subresources={"scale": {"specReplicasPath": ".spec.a[0]", "statusReplicasPath": ".status.b", "labelSelectorPath": "x"}}
    ),
    # structure
    "a root that is no object": version_with(schema={"openAPIV3Schema": {"type": "string"}}),
    "a root without a type": version_with(schema={"openAPIV3Schema": {"properties": {"spec": text()}}}),
    "a field without a type": of_spec(struct({"a": {}})),
    "a field of an unknown type": of_spec(struct({"a": {"type": "float"}})),
    "items without a type": of_spec(struct({"a": array({})})),
    "a list without items": of_spec(struct({"a": {"type": "array"}})),
    "items that are a list": of_spec(struct({"a": {"type": "array", "items": [text()]}})),
    "a type inside anyOf": of_spec(struct({"a": number()}, anyOf=[{"properties": {"a": {"type": "integer"}}}])),
    "a default inside anyOf": of_spec(struct({"a": number()}, anyOf=[{"properties": {"a": {"default": 1}}}])),
    "a description inside not": of_spec(struct({"a": number()}, **{"not": {"description": "x"}})),
    "a field inside oneOf that is not outside": of_spec(struct({"a": number()}, oneOf=[{"properties": {"b": {"minimum": 1}}}])),
    "items inside allOf that are not outside": of_spec(
        struct({"a": array(text())}, allOf=[{"properties": {"a": {"items": {"items": {"minLength": 1}}}}}])
    ),
    "nullable inside anyOf": of_spec(struct({"a": number()}, anyOf=[{"properties": {"a": {"nullable": True}}}])),
    "x-kubernetes inside anyOf": of_spec(struct({"a": struct({})}, anyOf=[{"properties": {"a": OPEN}}])),
    "properties and additionalProperties": of_spec(struct({"a": text()}, additionalProperties=text())),
    "additionalProperties false": of_spec(struct({"a": struct(None, additionalProperties=False)})),
    "additionalProperties at the root": version_with(schema={"openAPIV3Schema": struct(None, additionalProperties=text())}),
    "uniqueItems": of_spec(struct({"a": array(text(), uniqueItems=True)})),
    "$ref": of_spec(struct({"a": {"$ref": "#/x"}})),
    "definitions": of_spec(struct({"a": text()}, definitions={"x": text()})),
    "patternProperties": of_spec(struct({"a": text()}, patternProperties={"x": text()})),
    "dependencies": of_spec(struct({"a": text()}, dependencies={"a": ["b"]})),
    "id": of_spec(struct({"a": text(id="x")})),
    "an unknown keyword": of_spec(struct({"a": text(colour="red")})),
    "metadata with a rule": version_with(
        schema={"openAPIV3Schema": struct({"metadata": struct({"labels": of(text())}), "spec": struct({})})}
    ),
    "metadata with a pattern for the name": version_with(
        schema={"openAPIV3Schema": struct({"metadata": struct({"name": text(pattern="^a")}), "spec": struct({})})}
    ),
    "a pattern that cannot be read": of_spec(struct({"a": text(pattern="[")})),
    "a pattern with a lookahead": of_spec(struct({"a": text(pattern="(?=a)b")})),
    "preserve-unknown-fields false": of_spec(struct({"a": struct(None, **{"x-kubernetes-preserve-unknown-fields": False})})),
    "preserve-unknown-fields on a text": of_spec(struct({"a": text(**OPEN)})),
    "int-or-string with a type": of_spec(struct({"a": text(**{"x-kubernetes-int-or-string": True})})),
    "int-or-string with another anyOf": of_spec(
        struct({"a": {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "string"}, {"type": "integer"}]}})
    ),
    "embedded-resource on a text": of_spec(struct({"a": text(**{"x-kubernetes-embedded-resource": True})})),
    "embedded-resource with nothing in it": of_spec(struct({"a": struct(None, **{"x-kubernetes-embedded-resource": True})})),
    "an unknown list type": of_spec(struct({"a": array(text(), **{"x-kubernetes-list-type": "bag"})})),
    "a list type on a text": of_spec(struct({"a": text(**{"x-kubernetes-list-type": "set"})})),
    "a list map without keys": of_spec(struct({"a": array(struct({"k": text()}), **{"x-kubernetes-list-type": "map"})})),
    "list map keys without a list map": of_spec(
        struct({"a": array(struct({"k": text()}), **{"x-kubernetes-list-map-keys": ["k"]})})
    ),
    "a list map key that is not in the items": of_spec(
        struct({"a": array(struct({"k": text()}), **{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["j"]})})
    ),
    "a list map key that is neither required nor defaulted": of_spec(
        struct({"a": array(struct({"k": text()}), **{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]})})
    ),
    "a list map key twice": of_spec(
        struct(
            {
                "a": array(
                    struct({"k": text()}, required=["k"]),
                    **{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k", "k"]},
                )
            }
        )
    ),
    "a list map of texts": of_spec(
        struct({"a": array(text(), **{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]})})
    ),
    "a list map key that is an object": of_spec(
        struct(
            {
                "a": array(
                    struct({"k": struct({})}, required=["k"]),
                    **{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]},
                )
            }
        )
    ),
    "a set of objects": of_spec(struct({"a": array(struct({"k": text()}), **{"x-kubernetes-list-type": "set"})})),
    "an unknown map type": of_spec(struct({"a": struct({"k": text()}, **{"x-kubernetes-map-type": "soft"})})),
    "a map type on a text": of_spec(struct({"a": text(**{"x-kubernetes-map-type": "atomic"})})),
    # defaults
    "a default of a wrong type": of_spec(struct({"a": number(default="x")})),
    "a default that breaks a rule": of_spec(struct({"a": number(maximum=3, default=5)})),
    "a default with an unknown field": of_spec(struct({"a": struct({"b": text()}, default={"c": 1})})),
    "a default outside the enum": of_spec(struct({"a": text(enum=["x"], default="y")})),
    "a default that is null": of_spec(struct({"a": text(default=None)})),
    "a default at the root": version_with(schema={"openAPIV3Schema": struct({"spec": struct({})}, default={})}),
    "a default of metadata": version_with(schema={"openAPIV3Schema": struct({"metadata": struct({}, default={})})}),
    # rules
    "a rule that cannot be read": of_spec(struct({"a": number()}, **rule("self.a >"))),
    "a rule of an unknown field": of_spec(struct({"a": number()}, **rule("self.b > 1"))),
    "a rule of an unknown name": of_spec(struct({"a": number()}, **rule("other.a > 1"))),
    "a rule that is no boolean": of_spec(struct({"a": number()}, **rule("self.a + 1"))),
    "a rule that compares a text and a number": of_spec(struct({"a": text()}, **rule("self.a > 1"))),
    "a rule that calls what is not there": of_spec(struct({"a": text()}, **rule("self.a.shout()"))),
    "an empty rule": of_spec(struct({"a": text()}, **rule(""))),
    "a rule with an empty message": of_spec(struct({"a": text()}, **rule("true", message=" "))),
    "a rule with a message of two lines": of_spec(struct({"a": text()}, **rule("true", message="a\nb"))),
    "a rule of two lines without a message": of_spec(struct({"a": text()}, **rule("true ||\nfalse"))),
    "a rule with an unknown reason": of_spec(struct({"a": text()}, **rule("true", reason="Because"))),
    "a rule with a bad path": of_spec(struct({"a": text()}, **rule("true", fieldPath=".b"))),
    "a rule with a path that cannot be read": of_spec(struct({"a": text()}, **rule("true", fieldPath="a..b"))),
    "a message that is no text": of_spec(struct({"a": text()}, **rule("true", messageExpression="1"))),
    "a message that cannot be read": of_spec(struct({"a": text()}, **rule("true", messageExpression="'a"))),
    "a transition rule in an atomic list": of_spec(struct({"a": array(text(**rule("self == oldSelf")))})),
    "an optional old self that is not used": of_spec(struct({"a": text(**rule("self != 'x'", optionalOldSelf=True))})),
    "a rule that costs too much": of_spec(
        struct({"a": array(array(text()))}, **rule("self.a.all(x, x.all(y, y.contains('a')))"))
    ),
    "a rule that costs far too much": of_spec(
        struct({"a": array(text())}, **rule("self.a.all(x, self.a.all(y, self.a.all(z, x == y || y == z)))"))
    ),
    "rules with everything": of_spec(
        struct(
            {"a": array(text(maxLength=5), maxItems=5), "d": text(format="duration", maxLength=9), "t": text(format="date-time")},
            **{
                "x-kubernetes-validations": [
                    {"rule": "self.a.isSorted() && self.a.sum() == '' || self.a.indexOf('x') < 3"},
                ]
            },
        )
    ),
    "rules with the libraries": of_spec(
        struct(
            {
                "a": text(maxLength=50),
                "d": text(format="duration", maxLength=9),
                "t": text(format="date-time"),
                "l": array(number(), maxItems=5),
            },
            **{
                "x-kubernetes-validations": [
                    {"rule": "self.l.isSorted() && self.l.sum() > 1 && self.l.min() == self.l[0] && self.l.indexOf(3) < 3"},
                    {"rule": "self.a.matches('^a+$') && self.a.find('[0-9]+') == '1' && self.a.findAll('x').size() == 2"},
                    {"rule": "isURL(self.a) && url(self.a).getHost() == 'x' && url(self.a).getScheme() == 'https'"},
                    {"rule": "quantity('1Gi').isGreaterThan(quantity('1Mi')) && isQuantity(self.a)"},
                    {"rule": "format.dns1123Label().validate(self.a).hasValue()"},
                    {"rule": "isIP(self.a) && ip(self.a).family() == 4 && cidr('10.0.0.0/8').containsIP(self.a)"},
                    {"rule": "sets.contains(self.l, [1]) && self.l.exists_one(x, x == 1) && type(self.l[0]) == int"},
                    {"rule": "semver('1.2.3').isLessThan(semver('1.2.4')) && isSemver(self.a)"},
                    {"rule": "self.d < duration('1h') && self.t > timestamp('2020-01-01T00:00:00Z')"},
                    {"rule": "self.a.lowerAscii().split('-').join('_').replace('a', 'b').trim().substring(1).charAt(0) == 'x'"},
                    {"rule": "self.?a.orValue('x') == 'x' && optional.of(1).hasValue() && [1, 2][?0].value() == 1"},
                    {"rule": "'%s is %d' .format([self.a, 1]) == 'a' && {'a': 1}.transformList(k, v, v + 1) == [2]"},
                ]
            },
        )
    ),
}
