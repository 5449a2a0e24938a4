import json
import re
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from contract import Contract, compile_contract
from openapi import openapi

Document = dict[str, Any]


@pytest.fixture(scope="module")
def contract(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    return Contract(compile_contract(tmp_path_factory.mktemp("contract")).read_bytes())


@pytest.fixture(scope="module")
def document(contract: Contract) -> Document:
    read: Document = json.loads(openapi(contract))
    return read


@pytest.fixture(scope="module")
def schemas(document: Document) -> Document:
    found: Document = document["components"]["schemas"]
    return found


def operations(document: Document) -> dict[str, Document]:
    return {
        operation["operationId"]: operation
        for methods in document["paths"].values()
        for operation in methods.values()
    }


def names(parameters: list[Document], place: str) -> list[str]:
    return [parameter["name"] for parameter in parameters if parameter["in"] == place]


def test_the_committed_document_is_the_generated_one(document: Document) -> None:
    committed = Path(__file__).parents[2] / "gen/openapi/taskflow.json"

    assert json.loads(committed.read_text()) == document


def test_the_document_is_valid_openapi_3_1(document: Document) -> None:
    assert document["openapi"] == "3.1.0"
    OpenAPIV31SpecValidator(document).validate()


def test_every_http_rule_has_an_operation(contract: Contract, document: Document) -> None:
    rules = [
        contract.option(rpc, "google.api.http")
        for service in contract.services.values()
        for rpc in service.method
    ]
    every_rule = [one for rule in rules if rule for one in (rule, *rule.additional_bindings)]

    assert len(operations(document)) == len(every_rule)
    for rule in every_rule:
        method = rule.WhichOneof("pattern")
        assert method in document["paths"][getattr(rule, method)]


def test_an_rpc_without_a_http_rule_has_no_operation(document: Document) -> None:
    assert "TaskService_SubmitTasks" not in operations(document)


def test_every_reference_leads_somewhere(document: Document, schemas: Document) -> None:
    targets = set(re.findall(r'"\$ref": "#/components/schemas/([^"]+)"', json.dumps(document)))

    assert targets <= schemas.keys()


def test_the_body_of_create_task_is_the_task_and_the_rest_is_in_the_query(document: Document) -> None:
    create = operations(document)["TaskService_CreateTask"]

    assert create["requestBody"]["required"]
    assert create["requestBody"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/Task"
    }
    assert names(create["parameters"], "query") == ["request_id", "validate_only"]


def test_a_field_that_the_path_binds_is_not_in_the_body(document: Document) -> None:
    cancel = operations(document)["TaskService_CancelTask"]
    body = cancel["requestBody"]["content"]["application/json"]["schema"]

    assert names(cancel["parameters"], "path") == ["task_id"]
    assert list(body["properties"]) == ["reason"]
    assert not cancel["requestBody"]["required"]


def test_a_body_in_which_something_must_be_chosen_is_required(document: Document, schemas: Document) -> None:
    assert operations(document)["TaskService_BatchCancelTasks"]["requestBody"]["required"]
    assert {"oneOf": [{"required": ["ids"]}, {"required": ["filter"]}]} in schemas["BatchCancelTasksRequest"][
        "allOf"
    ]


def test_no_field_is_both_read_only_and_required(schemas: Document) -> None:
    for schema in schemas.values():
        for name in schema.get("required", []):
            assert "readOnly" not in schema.get("properties", {}).get(name, {})


def test_rules_of_the_contract_become_keywords(schemas: Document) -> None:
    task, policy = schemas["Task"]["properties"], schemas["RetryPolicy"]["properties"]

    assert schemas["Task"]["required"] == ["task_type"]
    assert task["task_type"]["pattern"] == "^[A-Za-z0-9][A-Za-z0-9_.-]*$"
    assert (task["task_type"]["minLength"], task["task_type"]["maxLength"]) == (1, 200)
    assert (policy["max_attempts"]["minimum"], policy["max_attempts"]["maximum"]) == (1, 1000)
    assert (task["tags"]["maxItems"], task["tags"]["uniqueItems"], task["tags"]["items"]["maxLength"]) == (
        32,
        True,
        64,
    )
    assert schemas["TaskIds"]["properties"]["task_ids"]["items"]["format"] == "uuid"


def test_enums_are_their_names_with_a_word_on_each(schemas: Document) -> None:
    priority = schemas["Task.Priority"]

    assert priority["type"] == "string"
    assert priority["enum"] == ["PRIORITY_UNSPECIFIED", "CRITICAL", "HIGH", "NORMAL", "LOW"]
    assert "- `HIGH`: Before NORMAL." in priority["description"]


def test_well_known_types_look_as_in_json(schemas: Document) -> None:
    task = schemas["Task"]["properties"]

    assert task["create_time"]["format"] == "date-time"
    assert re.match(task["attempt_timeout"]["pattern"], "3.5s")
    assert task["payload"]["type"] == "object"
    assert "type" not in task["result"]


def test_only_one_field_of_a_oneof_may_be_set(schemas: Document) -> None:
    assert {"not": {"anyOf": [{"required": ["payload", "payload_json"]}]}} in schemas["Task"]["allOf"]


def test_a_stream_is_an_array_or_server_sent_events(document: Document) -> None:
    watch = operations(document)["TaskService_WatchTask"]["responses"]["200"]["content"]
    events = operations(document)["TaskService_StreamTaskEvents"]["responses"]["200"]["content"]

    assert watch["application/json"]["schema"] == {
        "type": "array",
        "items": {"$ref": "#/components/schemas/WatchTaskResponse"},
    }
    assert list(events) == ["text/event-stream"]


def test_every_error_is_a_status_with_typed_details(document: Document, schemas: Document) -> None:
    error = document["components"]["responses"]["Error"]["content"]["application/json"]["schema"]
    types = [
        detail["$ref"] for detail in schemas["google.rpc.Status"]["properties"]["details"]["items"]["anyOf"]
    ]

    assert error == {"$ref": "#/components/schemas/google.rpc.Status"}
    assert "#/components/schemas/google.rpc.BadRequest" in types
    for operation in operations(document).values():
        assert operation["responses"]["default"] == {"$ref": "#/components/responses/Error"}


def test_every_operation_says_what_it_does(document: Document) -> None:
    for operation in operations(document).values():
        assert operation["summary"]
        assert operation["tags"]
