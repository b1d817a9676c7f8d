"""What types each function takes, as lines: ``string.size() int`` is one of a member, ``size(string) int`` one that is called."""

import re
from dataclasses import dataclass

from kedge.kube.cel.types import Kind

_TABLE = """
_==_(A,A) bool; _!=_(A,A) bool; !_(bool) bool; _&&_(bool,bool) bool; _||_(bool,bool) bool
-_(int) int; -_(double) double; -_(duration) duration
@in(A,list<A>) bool; @in(A,map<A,B>) bool
_+_(int,int) int; _+_(uint,uint) uint; _+_(double,double) double; _+_(string,string) string; _+_(bytes,bytes) bytes
_+_(list<A>,list<A>) list<A>; _+_(timestamp,duration) timestamp; _+_(duration,timestamp) timestamp
_+_(duration,duration) duration
_-_(int,int) int; _-_(uint,uint) uint; _-_(double,double) double; _-_(timestamp,timestamp) duration
_-_(timestamp,duration) timestamp; _-_(duration,duration) duration
_*_(int,int) int; _*_(uint,uint) uint; _*_(double,double) double
_/_(int,int) int; _/_(uint,uint) uint; _/_(double,double) double; _%_(int,int) int; _%_(uint,uint) uint
size(string) int; size(bytes) int; size(list<A>) int; size(map<A,B>) int
string.size() int; bytes.size() int; list<A>.size() int; map<A,B>.size() int
int(int) int; int(uint) int; int(double) int; int(string) int; int(timestamp) int; int(duration) int
uint(uint) uint; uint(int) uint; uint(double) uint; uint(string) uint
double(double) double; double(int) double; double(uint) double; double(string) double
string(string) string; string(int) string; string(uint) string; string(double) string; string(bool) string
string(bytes) string
string(timestamp) string; string(duration) string; string(ip) string; string(cidr) string
bool(bool) bool; bool(string) bool; bytes(bytes) bytes; bytes(string) bytes; dyn(A) dyn; type(A) type
timestamp(timestamp) timestamp; timestamp(string) timestamp; timestamp(int) timestamp
duration(duration) duration; duration(string) duration; duration(int) duration
string.startsWith(string) bool; string.endsWith(string) bool; string.contains(string) bool
string.matches(string) bool; matches(string,string) bool; string.find(string) string
string.findAll(string) list<string>; string.findAll(string,int) list<string>
string.charAt(int) string; string.indexOf(string) int; string.indexOf(string,int) int
string.lastIndexOf(string) int; string.lastIndexOf(string,int) int; string.substring(int) string
string.substring(int,int) string
string.replace(string,string) string; string.replace(string,string,int) string
string.split(string) list<string>; string.split(string,int) list<string>; list<string>.join() string
list<string>.join(string) string
string.trim() string; string.lowerAscii() string; string.upperAscii() string; string.reverse() string
strings.quote(string) string
string.format(list<dyn>) string
list<int>.sum() int; list<uint>.sum() uint; list<double>.sum() double; list<duration>.sum() duration
list<A>.indexOf(A) int; list<A>.lastIndexOf(A) int; list<A>.distinct() list<A>; list<A>.flatten() list<dyn>
list<A>.flatten(int) list<dyn>; list<A>.slice(int,int) list<A>; list<A>.reverse() list<A>; lists.range(int) list<int>
sets.contains(list<A>,list<A>) bool; sets.intersects(list<A>,list<A>) bool; sets.equivalent(list<A>,list<A>) bool
optional.of(A) optional<A>; optional.none() optional<dyn>; optional.ofNonZeroValue(A) optional<A>
optional<A>.hasValue() bool; optional<A>.value() A; optional<A>.or(optional<A>) optional<A>; optional<A>.orValue(A) A
quantity(string) quantity; isQuantity(string) bool; quantity.isInteger() bool; quantity.asInteger() int
quantity.asApproximateFloat() double; quantity.sign() int; quantity.add(quantity) quantity; quantity.add(int) quantity
quantity.sub(quantity) quantity; quantity.sub(int) quantity; quantity.compareTo(quantity) int
quantity.isGreaterThan(quantity) bool; quantity.isLessThan(quantity) bool
ip(string) ip; isIP(string) bool; ip.isCanonical(string) bool; ip.family() int; ip.isUnspecified() bool
ip.isLoopback() bool
ip.isLinkLocalMulticast() bool; ip.isLinkLocalUnicast() bool; ip.isGlobalUnicast() bool
cidr(string) cidr; isCIDR(string) bool; cidr.containsIP(string) bool; cidr.containsIP(ip) bool
cidr.containsCIDR(string) bool
cidr.containsCIDR(cidr) bool; cidr.ip() ip; cidr.masked() cidr; cidr.prefixLength() int
url(string) url; isURL(string) bool; url.getScheme() string; url.getHost() string; url.getHostname() string
url.getPort() string
url.getEscapedPath() string; url.getQuery() map<string,list<string>>
semver(string) semver; semver(string,bool) semver; isSemver(string) bool; isSemver(string,bool) bool; semver.major() int
semver.minor() int; semver.patch() int; semver.compareTo(semver) int; semver.isGreaterThan(semver) bool
semver.isLessThan(semver) bool
format.named(string) optional<format>; format.validate(string) optional<list<string>>
"""
_ORDERED = ("int", "uint", "double", "string", "bytes", "bool", "timestamp", "duration")
_NUMBERS = ("int", "uint", "double")
_FORMATS = (
    "dns1123Label",
    "dns1123Subdomain",
    "dns1035Label",
    "dns1123LabelPrefix",
    "dns1123SubdomainPrefix",
    "dns1035LabelPrefix",
    "qualifiedName",
    "labelValue",
    "uri",
    "uuid",
    "byte",
    "date",
    "datetime",
)
_OF_DAYS = ("FullYear", "Month", "Date", "DayOfMonth", "DayOfWeek", "DayOfYear")
_OF_TIMES = ("Hours", "Minutes", "Seconds", "Milliseconds")
_FULL = {
    "timestamp": "google.protobuf.Timestamp",
    "duration": "google.protobuf.Duration",
    "optional": "optional_type",
    "quantity": "kubernetes.Quantity",
    "ip": "net.IP",
    "cidr": "net.CIDR",
    "url": "kubernetes.URL",
    "semver": "kubernetes.Semver",
    "format": "kubernetes.NamedFormat",
}
# Before the dot stands a library, where no value of that type has such a member.
_SPACES = frozenset({"strings", "lists", "sets"})
_SPACED = frozenset({"ip.isCanonical", "format.named", "optional.of", "optional.none", "optional.ofNonZeroValue"})


@dataclass(frozen=True, slots=True)
class Overload:
    """One way in which a function can be called.

    Attributes:
        member: Whether its first parameter stands before the dot.
        parameters: Their types.
        result: What it gives.
    """

    member: bool
    parameters: tuple[Kind, ...]
    result: Kind


def _kind(text: str) -> Kind:
    name, _, inner = text.partition("<")
    parts = tuple(map(_kind, _split(inner[:-1]))) if inner else ()
    return Kind(_FULL.get(name, name), parts)


def _split(text: str) -> list[str]:
    found, depth, start = list[str](), 0, 0
    for at, char in enumerate(text):
        depth += (char == "<") - (char == ">")
        if char == "," and not depth:
            found.append(text[start:at])
            start = at + 1
    return [*found, text[start:]] if text else []


def _read(line: str) -> tuple[str, Overload]:
    found = re.fullmatch(r"(.+?)\(([^()]*)\) (\S+)", line)
    if found is None:
        raise ValueError(line)
    name, parameters, result = found[1], [_kind(each) for each in _split(found[2])], _kind(found[3])
    target, dot, short = name.rpartition(".")
    if not dot or target in _SPACES or name in _SPACED or (name.startswith("format.") and short in _FORMATS):
        return name, Overload(member=False, parameters=tuple(parameters), result=result)
    return short, Overload(member=True, parameters=(_kind(target), *parameters), result=result)


def _lines() -> list[str]:
    lines = [each.strip() for each in _TABLE.replace("\n", ";").split(";")]
    for name in ("_<_", "_<=_", "_>_", "_>=_"):
        lines += [f"{name}({each},{each}) bool" for each in _ORDERED]
        lines += [f"{name}({a},{b}) bool" for a in _NUMBERS for b in _NUMBERS if a != b]
    lines += [f"{name}({a},{b}) bool" for name in ("_==_", "_!=_") for a in _NUMBERS for b in _NUMBERS if a != b]
    for each in _ORDERED:
        lines += [f"list<{each}>.isSorted() bool", f"list<{each}>.sort() list<{each}>"]
        lines += [f"list<{each}>.min() {each}", f"list<{each}>.max() {each}"]
    for name in (*_OF_DAYS, *_OF_TIMES):
        lines += [f"timestamp.get{name}() int", f"timestamp.get{name}(string) int"]
    lines += [f"duration.get{name}() int" for name in _OF_TIMES]
    return [*(each for each in lines if each), *(f"format.{name}() format" for name in _FORMATS)]


OVERLOADS: dict[str, list[Overload]] = {}
for _line in _lines():
    _called, _overload = _read(_line)
    OVERLOADS.setdefault(_called, []).append(_overload)
