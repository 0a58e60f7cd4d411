"""The dataclasses that come as JSON, held against the schemas of the protocol."""

import dataclasses
import json
import os
import typing
import unittest
from datetime import datetime
from typing import Any, Dict, List, NamedTuple, Optional, Set, Tuple, Type, Union, cast

from supervise_api import answers, options, record
from supervise_api.options import SpawnOptions
from supervise_api.stdio import Capture

#: The directory of record.schema.json and serve.schema.json; by default that of the repository.
PLACE = os.environ.get("SUPERVISE_SCHEMAS") or os.path.join(os.path.dirname(__file__), *[os.pardir] * 3, "protocol")

#: Definitions of serve.schema.json that have another name here.
OTHER_NAMES: Dict[Type[Any], str] = {
    record.Main: "MainUsage",
    answers.JobInfo: "JobState",
    answers.Stat: "StatResult",
    answers.Enforced: "LimitResult",
    answers.Scope: "DetachResult",
}

#: Fields that may be None here and are never null in the schema: callers may have code for None, and it does no harm.
WIDER = {(record.Record, "leftovers"), (record.Leftover, "argv")}

#: Parameters of "spawn" that are no option of that name, and the other way round.
OF_THE_REQUEST_ALONE = {
    "argv",  # the positional argument
    "path",  # not to be had: argv[0] is the program
    "stdio",  # stdin, stdout and stderr
    "fds",  # counted
}
OF_THE_OPTIONS_ALONE = {"stdin", "stdout", "stderr", "pty", "keep", "text", "encoding", "errors", "on_event"}


class Shape(NamedTuple):
    """What JSON a field has."""

    kind: str  #: of JSON Schema: string, integer, number, boolean, array, object; or time, or the name of a dataclass
    null: bool = False
    element: Optional["Shape"] = None  # of an array, or the values of an object


def shape_of_hint(hint: Any) -> Shape:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Union:
        (inner,) = [one for one in arguments if one is not type(None)]
        return shape_of_hint(inner)._replace(null=True)
    if origin is list:
        return Shape("array", element=shape_of_hint(arguments[0]))
    if origin is dict:
        return Shape("object", element=shape_of_hint(arguments[1]))
    simple = {str: "string", int: "integer", float: "number", bool: "boolean", datetime: "time"}
    return Shape(simple.get(hint) or hint.__name__)


class Schema:
    """A schema with the definitions that it refers to."""

    def __init__(self, name: str) -> None:
        with open(os.path.join(PLACE, name)) as file:
            self.top: Dict[str, Any] = json.load(file)

    def resolve(self, node: Dict[str, Any]) -> Dict[str, Any]:
        reference = node.get("$ref")
        return node if reference is None else cast(Dict[str, Any], self.top["$defs"][reference.rpartition("/")[2]])

    def shape(self, node: Dict[str, Any], field: Any) -> Shape:
        """Return the shape of a property. An object with properties is the dataclass of the field's hint: see `differences`."""
        if "anyOf" in node:
            (inner,) = [one for one in node["anyOf"] if one != {"type": "null"}]
            return self.shape(inner, field)._replace(null={"type": "null"} in node["anyOf"])
        node = self.resolve(node)
        if "const" in node:
            return Shape("string")
        if "enum" in node:
            return Shape("string", None in node["enum"])
        kinds = node["type"] if isinstance(node["type"], list) else [node["type"]]
        (kind,) = [one for one in kinds if one != "null"]
        null = "null" in kinds
        if node.get("format") == "date-time":
            return Shape("time", null)
        if kind == "array":
            return Shape(kind, null, self.shape(node["items"], element_of(field)))
        if "properties" in node:
            return Shape(getattr(dataclass_of(field), "__name__", kind), null)
        if kind == "object":
            return Shape(kind, null, self.shape(node["additionalProperties"], None))
        return Shape(kind, null)

    def differences(self, kind: Type[Any], node: Dict[str, Any], path: str = "") -> List[str]:
        """Compare a dataclass, and those in it, with an object of the schema; return what differs."""
        node = self.resolve(node)
        properties, hints = without_bytes(node["properties"]), typing.get_type_hints(kind)
        found = ["{}{}: only in one of the two".format(path, name) for name in sorted(set(properties) ^ set(hints))]
        found += ["{}{}: not required".format(path, name) for name in sorted(set(properties) - set(node["required"]))]
        for name in sorted(set(properties) & set(hints)):
            here, there = shape_of_hint(hints[name]), self.shape(properties[name], hints[name])
            if (kind, name) in WIDER:
                there = there._replace(null=True)
            if here != there:
                found.append("{}{}: {} here, {} in the schema".format(path, name, here, there))
            inner = dataclass_of(hints[name])
            if inner is not None:
                found += self.differences(inner, self.object_in(properties[name]), "{}{}.".format(path, name))
        return found

    def object_in(self, node: Dict[str, Any]) -> Dict[str, Any]:
        """Return the object with properties that a property is, or is an array of, or null."""
        node = self.resolve(node)
        if "anyOf" in node:
            (node,) = [self.resolve(one) for one in node["anyOf"] if one != {"type": "null"}]
        return self.object_in(node["items"]) if "items" in node else node


def without_bytes(properties: Dict[str, Any]) -> Dict[str, Any]:
    """Return properties but those with the bytes of another: that has them here."""
    return {name: one for name, one in properties.items() if name.rpartition("_base64")[0] not in properties}


def element_of(hint: Any) -> Any:
    """Return the hint of a list's elements; None: it is no list, and differs."""
    if typing.get_origin(hint) is Union:
        hint = typing.get_args(hint)[0]
    return typing.get_args(hint)[0] if typing.get_origin(hint) is list else None


def dataclass_of(hint: Any) -> Optional[Type[Any]]:
    """Return the dataclass that a field is, or has a list of, or None."""
    while typing.get_origin(hint) in (Union, list):
        hint = typing.get_args(hint)[0]
    return hint if dataclasses.is_dataclass(hint) else None


def mirrored() -> Set[Type[Any]]:
    """Return the dataclasses of record and answers."""
    found = [one for module in (record, answers) for one in vars(module).values()]
    return {one for one in found if isinstance(one, type) and dataclasses.is_dataclass(one)}


@unittest.skipUnless(os.path.exists(os.path.join(PLACE, "record.schema.json")), "the schemas are not here")
class TestSchemas(unittest.TestCase):
    def test_record(self) -> None:
        schema = Schema("record.schema.json")
        self.assertEqual(schema.differences(record.Record, schema.top), [])

    def test_serve(self) -> None:
        schema = Schema("serve.schema.json")
        for kind in sorted(mirrored(), key=lambda one: one.__name__):
            with self.subTest(kind=kind.__name__):
                self.assertEqual(schema.differences(kind, schema.top["$defs"][OTHER_NAMES.get(kind, kind.__name__)]), [])

    def test_how_many(self) -> None:
        self.assertEqual(len(mirrored()), 25)  # so that none is left out unseen

    def test_spawn(self) -> None:
        parameters = set(Schema("serve.schema.json").top["$defs"]["SpawnParams"]["properties"])
        self.assertEqual(parameters - set(SpawnOptions.__annotations__), OF_THE_REQUEST_ALONE)
        self.assertEqual(set(SpawnOptions.__annotations__) - parameters, OF_THE_OPTIONS_ALONE)

    def test_tuples(self) -> None:
        """Those that are sent."""
        definitions = Schema("serve.schema.json").top["$defs"]
        kinds: List[Tuple[Any, str]] = [(options.Pressing, "PressureTrigger"), (Capture, "CaptureSpec"), (options.Command, "Command")]
        for kind, name in kinds:
            self.assertEqual(set(kind._fields), set(definitions[name]["properties"]) - {"text", "path"})  # text is made here

    def test_differences_are_found(self) -> None:
        schema = Schema("serve.schema.json")
        exit_as_it_is = schema.top["$defs"]["Exit"]

        @dataclasses.dataclass
        class Exit:
            code: int
            signal: Optional[int]
            core: bool
            more: str

        found = schema.differences(Exit, exit_as_it_is)
        self.assertEqual([one.partition(":")[0] for one in found], ["more", "code", "signal"])
