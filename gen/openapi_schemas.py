"""JSON Schemas of messages and enums, as Envoy's transcoder reads and writes them: snake_case, canonical proto3 JSON.

Comments become descriptions, field behaviour becomes `required` and `readOnly`, and those rules of protovalidate that
JSON Schema can say become its keywords.
"""

from collections.abc import Iterable
from itertools import combinations
from typing import Any

from contract import Contract

Schema = dict[str, Any]

TYPE_NAMES = [
    "", "double", "float", "int64", "uint64", "int32", "fixed64", "fixed32", "bool", "string", "group", "message",
    "bytes", "uint32", "enum", "sfixed32", "sfixed64", "sint32", "sint64",
]  # fmt: skip  # by their number in descriptor.proto
REPEATED = 3
OPTIONAL, REQUIRED, OUTPUT_ONLY, INPUT_ONLY = 1, 2, 3, 4  # google.api.FieldBehavior

INT32: Schema = {"type": "integer", "format": "int32"}
UINT32: Schema = {"type": "integer", "format": "uint32", "minimum": 0}
INT64: Schema = {"type": "string", "format": "int64", "pattern": "^-?[0-9]+$"}
SCALARS: dict[str, Schema] = {
    "double": {"type": "number", "format": "double"},
    "float": {"type": "number", "format": "float"},
    "bool": {"type": "boolean"},
    "string": {"type": "string"},
    "bytes": {"type": "string", "format": "byte"},
    "int32": INT32,
    "sint32": INT32,
    "sfixed32": INT32,
    "uint32": UINT32,
    "fixed32": UINT32,
    "int64": INT64,
    "sint64": INT64,
    "sfixed64": INT64,
    "uint64": INT64,
    "fixed64": INT64,
}
WELL_KNOWN: dict[str, Schema] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {
        "type": "string",
        "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$",
        "examples": ["3.5s"],
    },
    "google.protobuf.FieldMask": {"type": "string", "examples": ["name,priority"]},
    "google.protobuf.Struct": {"type": "object", "additionalProperties": True},
    "google.protobuf.Value": {},
    "google.protobuf.ListValue": {"type": "array", "items": {}},
    "google.protobuf.Empty": {"type": "object"},
    "google.protobuf.Any": {
        "type": "object",
        "properties": {"@type": {"type": "string"}},
        "required": ["@type"],
    },
    "google.api.HttpBody": {},
}
# Rules of protovalidate, and the keyword of JSON Schema that says the same.
KEYWORDS = {
    "const": "const",
    "min_len": "minLength",
    "max_len": "maxLength",
    "pattern": "pattern",
    "gt": "exclusiveMinimum",
    "gte": "minimum",
    "lt": "exclusiveMaximum",
    "lte": "maximum",
    "min_items": "minItems",
    "max_items": "maxItems",
    "unique": "uniqueItems",
    "min_pairs": "minProperties",
    "max_pairs": "maxProperties",
}
FORMATS = {
    "uuid": "uuid",
    "email": "email",
    "uri": "uri",
    "hostname": "hostname",
    "ipv4": "ipv4",
    "ipv6": "ipv6",
}


class Schemas:
    """The schemas that a document needs: whatever `reference` was asked for, and what that refers to in turn."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.components: dict[str, Schema] = {}

    def reference(self, full_name: str) -> Schema:
        """The schema for a message or enum by its full name: a reference, but for the well-known types."""
        if full_name in WELL_KNOWN:
            return WELL_KNOWN[full_name]
        name = full_name.removeprefix("taskflow.v1.")
        if name not in self.components:
            self.components[name] = {}  # taken before it is filled: messages may contain themselves
            is_enum = full_name in self.contract.enums
            self.components[name] = self._enum(full_name) if is_enum else self.message(full_name)
        return {"$ref": f"#/components/schemas/{name}"}

    def message(self, full_name: str, without: Iterable[str] = ()) -> Schema:
        """The schema of a message itself, less the fields `without`."""
        message = self.contract.messages[full_name]
        fields = [field for field in message.field if field.name not in without]
        schema: Schema = {
            "type": "object",
            "description": self.contract.comments[full_name],
            "properties": {field.name: self.field(full_name, field) for field in fields},
            "required": [field.name for field in fields if self.behaves(field, REQUIRED)],
            "allOf": list(self._choices(message)),
        }
        if full_name == "google.rpc.Status":
            schema["properties"]["details"]["items"] = {"anyOf": self._error_details()}
        return {keyword: value for keyword, value in schema.items() if value}

    def field(self, message: str, field: Any) -> Schema:
        """The schema of one field, with its description, rules and behaviour."""
        rules = self.contract.option(field, "buf.validate.field")
        schema = self._repeated(field, rules) if field.label == REPEATED else self._single(field, rules)
        schema |= {"description": self.description(message, field)}
        if self.behaves(field, OUTPUT_ONLY):
            schema |= {"readOnly": True}
        if self.behaves(field, INPUT_ONLY):
            schema |= {"writeOnly": True}
        return schema

    def behaves(self, field: Any, behaviour: int) -> bool:
        return behaviour in (self.contract.option(field, "google.api.field_behavior") or [])

    def description(self, message: str, field: Any) -> str:
        """The comment of a field, after that of the oneof it is in."""
        comment = self.contract.comments[f"{message}.{field.name}"]
        if not field.HasField("oneof_index") or field.proto3_optional:
            return comment
        oneof = self.contract.messages[message].oneof_decl[field.oneof_index]
        return f"{self.contract.comments[f'{message}.{oneof.name}']}\n\n{comment}".strip()

    def _repeated(self, field: Any, rules: Any) -> Schema:
        entry = self.contract.messages.get(field.type_name.removeprefix("."))
        if entry is not None and entry.options.map_entry:
            key, value = entry.field
            return self._map(key, value, rules)
        schema = {"type": "array", "items": self._single(field, rules and rules.repeated.items)}
        filled = {"minItems": 1} if rules and rules.required else {}
        return schema | filled | (translate(rules.repeated) if rules else {})

    def _map(self, key: Any, value: Any, rules: Any) -> Schema:
        schema: Schema = {
            "type": "object",
            "additionalProperties": self._single(value, rules and rules.map.values),
        }
        if not rules:
            return schema
        names = keywords(key, rules.map.keys)
        return schema | ({"propertyNames": names} if names else {}) | translate(rules.map)

    def _single(self, field: Any, rules: Any) -> Schema:
        kind = TYPE_NAMES[field.type]
        plain = SCALARS[kind] if kind in SCALARS else self.reference(field.type_name.removeprefix("."))
        return dict(plain) | (keywords(field, rules) if rules else {})

    def _enum(self, full_name: str) -> Schema:
        comment = self.contract.comments[full_name]
        names = [value.name for value in self.contract.enums[full_name].value]
        values = [f"- `{name}`: {self.contract.comments[f'{full_name}.{name}']}" for name in names]
        return {"type": "string", "description": "\n".join([comment, "", *values]), "enum": names}

    def _choices(self, message: Any) -> Iterable[Schema]:
        """For each oneof: exactly one of its fields if it must be set, else at most one."""
        for index, oneof in enumerate(message.oneof_decl):
            members = [
                field
                for field in message.field
                if field.HasField("oneof_index") and field.oneof_index == index
            ]
            names = [field.name for field in members if not field.proto3_optional]
            rule = self.contract.option(oneof, "buf.validate.oneof")
            if rule and rule.required:
                yield {"oneOf": [{"required": [name]} for name in names]}
            elif len(names) > 1:
                yield {"not": {"anyOf": [{"required": list(pair)} for pair in combinations(names, 2)]}}

    def _error_details(self) -> list[Schema]:
        """The types of `google/rpc/error_details.proto`, each with the `@type` by which one tells it."""
        (file,) = (file for file in self.contract.files if file.name == "google/rpc/error_details.proto")
        return [
            {
                **self.reference(f"google.rpc.{message.name}"),
                "properties": {"@type": {"const": f"type.googleapis.com/google.rpc.{message.name}"}},
                "required": ["@type"],
            }
            for message in file.message_type
        ]


def keywords(field: Any, rules: Any) -> Schema:
    """What protovalidate asks of one value, in JSON Schema. Integers of 64 bits are strings there, without bounds."""
    kind = TYPE_NAMES[field.type]
    if kind == "string":
        text_format = rules.string.WhichOneof("well_known")
        formats = {"format": text_format} if text_format in FORMATS else {}
        filled = {"minLength": 1} if rules.required else {}
        return filled | formats | translate(rules.string)
    if kind in {"message", "enum", "bool", "bytes"} or kind.endswith("64"):
        return {}
    return translate(getattr(rules, kind))


def translate(rules: Any) -> Schema:
    return {KEYWORDS[rule.name]: value for rule, value in rules.ListFields() if rule.name in KEYWORDS}
