"""The OpenAPI 3.1 document of the REST API, as Envoy's JSON transcoder serves the contract.

Each `google.api.http` rule of an RPC becomes an operation: what its path does not bind and its body does not take is a
query parameter; what the RPC returns is the answer, flat; every error is a `google.rpc.Status`.
"""

import json
import re
from collections.abc import Iterable
from typing import Any

from contract import Contract
from openapi_schemas import OUTPUT_ONLY, REPEATED, REQUIRED, WELL_KNOWN, Schema, Schemas

ABOUT = """\
Submit work, watch it live, fetch its result: the REST side of TaskFlow, made from the same contract as its gRPC side.

- Names are snake_case. Enum values are read in any case. Integers of 64 bits are strings.
- Unset fields are left out. Unknown query parameters are refused; unknown fields of a body are ignored.
- A stream is one JSON array, sent element by element; those for browsers are `text/event-stream`.
- The `X-Tenant-Id` header names the tenant; the `Idempotency-Key` header means the same as `request_id`.
- Every error is a `google.rpc.Status` whose `details` hold a `google.rpc.ErrorInfo`; its `reason` is an `ErrorReason`
  without the prefix.
"""
HTTP_BODY = "google.api.HttpBody"
JSON, SSE = "application/json", "text/event-stream"


def openapi(contract: Contract) -> str:
    """The document, as JSON text."""
    schemas = Schemas(contract)
    schemas.reference("taskflow.v1.ErrorReason")
    error = content(JSON, schemas.reference("google.rpc.Status"))
    tags: list[dict[str, Any]] = []
    paths: dict[str, dict[str, Any]] = {}
    for name, service in contract.services.items():
        tags.append({"name": service.name, "description": contract.comments[name]})
        for rpc in service.method:
            for number, rule in enumerate(http_rules(contract, rpc)):
                method = rule.WhichOneof("pattern")
                path = re.sub(r"=[^}]*}", "}", getattr(rule, method))  # `{name=shelves/*}` is `{name}` here
                comment = contract.comments[f"{name}.{rpc.name}"]
                identity = f"{service.name}_{rpc.name}" + (f"_{number + 1}" if number else "")
                paths.setdefault(path, {})[method] = {
                    "operationId": identity,
                    "tags": [service.name],
                    **prose(comment),
                    **inputs(schemas, rpc, rule.body, path),
                    "responses": {
                        "200": answer(schemas, rpc, comment),
                        "default": {"$ref": "#/components/responses/Error"},
                    },
                }

    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "TaskFlow",
            "version": "v1",
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": tags,
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted(schemas.components.items())),
            "responses": {"Error": {"description": "What went wrong.", "content": error}},
        },
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def http_rules(contract: Contract, rpc: Any) -> list[Any]:
    """The HTTP rules of an RPC: none if it is for gRPC only."""
    rule = contract.option(rpc, "google.api.http")
    return [rule, *rule.additional_bindings] if rule else []


def prose(comment: str) -> dict[str, str]:
    """The first paragraph of a comment as the summary, the rest as the description."""
    summary, _, description = comment.partition("\n\n")
    texts = {"summary": " ".join(summary.split()), "description": description}
    return {name: text for name, text in texts.items() if text}


def inputs(schemas: Schemas, rpc: Any, body: str, path: str) -> dict[str, Any]:
    """The parameters and the body of an operation."""
    request = rpc.input_type.removeprefix(".")
    bound = re.findall(r"{([^}]*)}", path)
    parameters = [path_parameter(schemas, request, name) for name in bound]
    if body != "*":
        parameters += query_parameters(schemas, request, without={*bound, body})
    body_part = {"requestBody": request_body(schemas, request, body, bound)} if body else {}
    return ({"parameters": parameters} if parameters else {}) | body_part


def path_parameter(schemas: Schemas, request: str, dotted: str) -> dict[str, Any]:
    *outer, last = dotted.split(".")
    message = request
    for name in outer:
        message = field_named(schemas, message, name).type_name.removeprefix(".")
    return parameter(schemas, message, field_named(schemas, message, last), dotted) | {
        "in": "path",
        "required": True,
    }


def query_parameters(
    schemas: Schemas, message: str, without: set[str], prefix: str = "", outer: tuple[str, ...] = ()
) -> Iterable[dict[str, Any]]:
    """Every leaf below a message that a query can set, named by its dotted path."""
    for field in schemas.contract.messages[message].field:
        dotted, inner = f"{prefix}{field.name}", field.type_name.removeprefix(".")
        if dotted in without or schemas.behaves(field, OUTPUT_ONLY) or inner in outer:
            continue
        if inner in schemas.contract.messages and inner not in WELL_KNOWN:
            if field.label != REPEATED:  # a query can't say a list of messages, or a map
                yield from query_parameters(schemas, inner, without, f"{dotted}.", (*outer, message))
        elif WELL_KNOWN.get(inner, {"type": "string"}).get("type") == "string":
            required = {"required": True} if schemas.behaves(field, REQUIRED) else {}
            yield parameter(schemas, message, field, dotted) | required


def parameter(schemas: Schemas, message: str, field: Any, dotted: str) -> dict[str, Any]:
    schema = schemas.field(message, field)
    return {"name": dotted, "in": "query", "description": schema.pop("description"), "schema": schema}


def field_named(schemas: Schemas, message: str, name: str) -> Any:
    (found,) = (field for field in schemas.contract.messages[message].field if field.name == name)
    return found


def request_body(schemas: Schemas, request: str, body: str, bound: list[str]) -> dict[str, Any]:
    """The whole request, or its field `body`: in either case without what the path binds, which Envoy refuses there."""
    if body == "*":
        message, prefix, required = request, "", False
    else:
        field = field_named(schemas, request, body)
        message, prefix, required = (
            field.type_name.removeprefix("."),
            f"{body}.",
            schemas.behaves(field, REQUIRED),
        )
    without = {name.removeprefix(prefix) for name in bound if name.startswith(prefix)}
    whole = schemas.message(message, without) if message not in WELL_KNOWN else {}
    schema = whole if without else schemas.reference(message)
    # Envoy reads no body as an empty message: it may be left out unless something in it must be set.
    must_choose = any("oneOf" in choice for choice in whole.get("allOf", []))
    return {"required": required or "required" in whole or must_choose, "content": content(JSON, schema)}


def answer(schemas: Schemas, rpc: Any, comment: str) -> dict[str, Any]:
    output = rpc.output_type.removeprefix(".")
    if output == HTTP_BODY:
        return raw_answer(rpc, comment)
    schema = schemas.reference(output)
    if rpc.server_streaming:
        schema = {"type": "array", "items": schema}
    what = "Done." if output in WELL_KNOWN else schemas.contract.comments[output].partition("\n\n")[0]
    return {"description": " ".join(what.split()), "content": content(JSON, schema)}


def raw_answer(rpc: Any, comment: str) -> dict[str, Any]:
    """An HttpBody, which says only when it is sent what it is: before that, the comment of the RPC does."""
    if rpc.name.startswith("Stream"):
        return {"description": "Server-Sent Events.", "content": content(SSE, {"type": "string"})}
    media_types = re.findall(r"`((?:application|image|text)/[a-z.+-]+)`", comment) or [JSON]
    return {"description": "The document itself.", "content": {name: {"schema": {}} for name in media_types}}


def content(media_type: str, schema: Schema) -> dict[str, Any]:
    return {media_type: {"schema": schema}}
