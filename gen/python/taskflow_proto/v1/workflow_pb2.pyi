import datetime

from taskflow_proto.buf.validate import validate_pb2 as _validate_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from taskflow_proto.v1 import retry_policy_pb2 as _retry_policy_pb2
from taskflow_proto.v1 import task_pb2 as _task_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Workflow(_message.Message):
    __slots__ = ("id", "name", "description", "tags", "nodes", "edges", "input_schema", "output_schema", "output_expression", "priority", "queue", "execution_timeout", "version", "create_time", "update_time", "etag")
    class View(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        VIEW_UNSPECIFIED: _ClassVar[Workflow.View]
        BASIC: _ClassVar[Workflow.View]
        FULL: _ClassVar[Workflow.View]
    VIEW_UNSPECIFIED: Workflow.View
    BASIC: Workflow.View
    FULL: Workflow.View
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    EDGES_FIELD_NUMBER: _ClassVar[int]
    INPUT_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_EXPRESSION_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    description: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    nodes: _containers.RepeatedCompositeFieldContainer[WorkflowNode]
    edges: _containers.RepeatedCompositeFieldContainer[WorkflowEdge]
    input_schema: _struct_pb2.Struct
    output_schema: _struct_pb2.Struct
    output_expression: str
    priority: _task_pb2.Task.Priority
    queue: str
    execution_timeout: _duration_pb2.Duration
    version: int
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    etag: str
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., nodes: _Optional[_Iterable[_Union[WorkflowNode, _Mapping]]] = ..., edges: _Optional[_Iterable[_Union[WorkflowEdge, _Mapping]]] = ..., input_schema: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., output_schema: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., output_expression: _Optional[str] = ..., priority: _Optional[_Union[_task_pb2.Task.Priority, str]] = ..., queue: _Optional[str] = ..., execution_timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., version: _Optional[int] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., etag: _Optional[str] = ...) -> None: ...

class WorkflowNode(_message.Message):
    __slots__ = ("id", "name", "description", "task", "parallel", "condition", "delay", "subworkflow", "wait", "join", "timeout", "on_error", "error_node_id", "compensation", "position", "type")
    class Type(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        TYPE_UNSPECIFIED: _ClassVar[WorkflowNode.Type]
        TASK: _ClassVar[WorkflowNode.Type]
        PARALLEL: _ClassVar[WorkflowNode.Type]
        CONDITION: _ClassVar[WorkflowNode.Type]
        DELAY: _ClassVar[WorkflowNode.Type]
        SUBWORKFLOW: _ClassVar[WorkflowNode.Type]
        WAIT: _ClassVar[WorkflowNode.Type]
    TYPE_UNSPECIFIED: WorkflowNode.Type
    TASK: WorkflowNode.Type
    PARALLEL: WorkflowNode.Type
    CONDITION: WorkflowNode.Type
    DELAY: WorkflowNode.Type
    SUBWORKFLOW: WorkflowNode.Type
    WAIT: WorkflowNode.Type
    class OnError(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ON_ERROR_UNSPECIFIED: _ClassVar[WorkflowNode.OnError]
        FAIL: _ClassVar[WorkflowNode.OnError]
        CONTINUE: _ClassVar[WorkflowNode.OnError]
        GO_TO: _ClassVar[WorkflowNode.OnError]
    ON_ERROR_UNSPECIFIED: WorkflowNode.OnError
    FAIL: WorkflowNode.OnError
    CONTINUE: WorkflowNode.OnError
    GO_TO: WorkflowNode.OnError
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    PARALLEL_FIELD_NUMBER: _ClassVar[int]
    CONDITION_FIELD_NUMBER: _ClassVar[int]
    DELAY_FIELD_NUMBER: _ClassVar[int]
    SUBWORKFLOW_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    JOIN_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    ON_ERROR_FIELD_NUMBER: _ClassVar[int]
    ERROR_NODE_ID_FIELD_NUMBER: _ClassVar[int]
    COMPENSATION_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    description: str
    task: TaskTemplate
    parallel: ParallelNode
    condition: ConditionNode
    delay: DelayNode
    subworkflow: SubworkflowNode
    wait: WaitNode
    join: JoinPolicy
    timeout: _duration_pb2.Duration
    on_error: WorkflowNode.OnError
    error_node_id: str
    compensation: TaskTemplate
    position: Position
    type: WorkflowNode.Type
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., task: _Optional[_Union[TaskTemplate, _Mapping]] = ..., parallel: _Optional[_Union[ParallelNode, _Mapping]] = ..., condition: _Optional[_Union[ConditionNode, _Mapping]] = ..., delay: _Optional[_Union[DelayNode, _Mapping]] = ..., subworkflow: _Optional[_Union[SubworkflowNode, _Mapping]] = ..., wait: _Optional[_Union[WaitNode, _Mapping]] = ..., join: _Optional[_Union[JoinPolicy, _Mapping]] = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., on_error: _Optional[_Union[WorkflowNode.OnError, str]] = ..., error_node_id: _Optional[str] = ..., compensation: _Optional[_Union[TaskTemplate, _Mapping]] = ..., position: _Optional[_Union[Position, _Mapping]] = ..., type: _Optional[_Union[WorkflowNode.Type, str]] = ...) -> None: ...

class WorkflowEdge(_message.Message):
    __slots__ = ("source", "target", "condition", "branch", "input_expressions")
    class InputExpressionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    CONDITION_FIELD_NUMBER: _ClassVar[int]
    BRANCH_FIELD_NUMBER: _ClassVar[int]
    INPUT_EXPRESSIONS_FIELD_NUMBER: _ClassVar[int]
    source: str
    target: str
    condition: str
    branch: str
    input_expressions: _containers.ScalarMap[str, str]
    def __init__(self, source: _Optional[str] = ..., target: _Optional[str] = ..., condition: _Optional[str] = ..., branch: _Optional[str] = ..., input_expressions: _Optional[_Mapping[str, str]] = ...) -> None: ...

class WorkflowGraph(_message.Message):
    __slots__ = ("nodes", "edges", "output_expression")
    NODES_FIELD_NUMBER: _ClassVar[int]
    EDGES_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_EXPRESSION_FIELD_NUMBER: _ClassVar[int]
    nodes: _containers.RepeatedCompositeFieldContainer[WorkflowNode]
    edges: _containers.RepeatedCompositeFieldContainer[WorkflowEdge]
    output_expression: str
    def __init__(self, nodes: _Optional[_Iterable[_Union[WorkflowNode, _Mapping]]] = ..., edges: _Optional[_Iterable[_Union[WorkflowEdge, _Mapping]]] = ..., output_expression: _Optional[str] = ...) -> None: ...

class JoinPolicy(_message.Message):
    __slots__ = ("mode", "count")
    class Mode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        MODE_UNSPECIFIED: _ClassVar[JoinPolicy.Mode]
        ALL: _ClassVar[JoinPolicy.Mode]
        ANY: _ClassVar[JoinPolicy.Mode]
        COUNT: _ClassVar[JoinPolicy.Mode]
        ALL_SETTLED: _ClassVar[JoinPolicy.Mode]
    MODE_UNSPECIFIED: JoinPolicy.Mode
    ALL: JoinPolicy.Mode
    ANY: JoinPolicy.Mode
    COUNT: JoinPolicy.Mode
    ALL_SETTLED: JoinPolicy.Mode
    MODE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    mode: JoinPolicy.Mode
    count: int
    def __init__(self, mode: _Optional[_Union[JoinPolicy.Mode, str]] = ..., count: _Optional[int] = ...) -> None: ...

class TaskTemplate(_message.Message):
    __slots__ = ("task_type", "payload", "payload_json", "payload_expressions", "priority", "queue", "retry_policy", "attempt_timeout")
    class PayloadExpressionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    TASK_TYPE_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_JSON_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_EXPRESSIONS_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    RETRY_POLICY_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    task_type: str
    payload: _struct_pb2.Struct
    payload_json: str
    payload_expressions: _containers.ScalarMap[str, str]
    priority: _task_pb2.Task.Priority
    queue: str
    retry_policy: _retry_policy_pb2.RetryPolicy
    attempt_timeout: _duration_pb2.Duration
    def __init__(self, task_type: _Optional[str] = ..., payload: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., payload_json: _Optional[str] = ..., payload_expressions: _Optional[_Mapping[str, str]] = ..., priority: _Optional[_Union[_task_pb2.Task.Priority, str]] = ..., queue: _Optional[str] = ..., retry_policy: _Optional[_Union[_retry_policy_pb2.RetryPolicy, _Mapping]] = ..., attempt_timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class ParallelNode(_message.Message):
    __slots__ = ("branches", "map", "join", "keep_rest", "max_concurrency")
    BRANCHES_FIELD_NUMBER: _ClassVar[int]
    MAP_FIELD_NUMBER: _ClassVar[int]
    JOIN_FIELD_NUMBER: _ClassVar[int]
    KEEP_REST_FIELD_NUMBER: _ClassVar[int]
    MAX_CONCURRENCY_FIELD_NUMBER: _ClassVar[int]
    branches: ParallelBranches
    map: ParallelMap
    join: JoinPolicy
    keep_rest: bool
    max_concurrency: int
    def __init__(self, branches: _Optional[_Union[ParallelBranches, _Mapping]] = ..., map: _Optional[_Union[ParallelMap, _Mapping]] = ..., join: _Optional[_Union[JoinPolicy, _Mapping]] = ..., keep_rest: _Optional[bool] = ..., max_concurrency: _Optional[int] = ...) -> None: ...

class ParallelBranches(_message.Message):
    __slots__ = ("branches",)
    BRANCHES_FIELD_NUMBER: _ClassVar[int]
    branches: _containers.RepeatedCompositeFieldContainer[ParallelBranch]
    def __init__(self, branches: _Optional[_Iterable[_Union[ParallelBranch, _Mapping]]] = ...) -> None: ...

class ParallelBranch(_message.Message):
    __slots__ = ("name", "graph")
    NAME_FIELD_NUMBER: _ClassVar[int]
    GRAPH_FIELD_NUMBER: _ClassVar[int]
    name: str
    graph: WorkflowGraph
    def __init__(self, name: _Optional[str] = ..., graph: _Optional[_Union[WorkflowGraph, _Mapping]] = ...) -> None: ...

class ParallelMap(_message.Message):
    __slots__ = ("items", "graph")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    GRAPH_FIELD_NUMBER: _ClassVar[int]
    items: str
    graph: WorkflowGraph
    def __init__(self, items: _Optional[str] = ..., graph: _Optional[_Union[WorkflowGraph, _Mapping]] = ...) -> None: ...

class ConditionNode(_message.Message):
    __slots__ = ("branches",)
    BRANCHES_FIELD_NUMBER: _ClassVar[int]
    branches: _containers.RepeatedCompositeFieldContainer[ConditionBranch]
    def __init__(self, branches: _Optional[_Iterable[_Union[ConditionBranch, _Mapping]]] = ...) -> None: ...

class ConditionBranch(_message.Message):
    __slots__ = ("name", "condition")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CONDITION_FIELD_NUMBER: _ClassVar[int]
    name: str
    condition: str
    def __init__(self, name: _Optional[str] = ..., condition: _Optional[str] = ...) -> None: ...

class DelayNode(_message.Message):
    __slots__ = ("duration", "until_time", "expression")
    DURATION_FIELD_NUMBER: _ClassVar[int]
    UNTIL_TIME_FIELD_NUMBER: _ClassVar[int]
    EXPRESSION_FIELD_NUMBER: _ClassVar[int]
    duration: _duration_pb2.Duration
    until_time: _timestamp_pb2.Timestamp
    expression: str
    def __init__(self, duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., until_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expression: _Optional[str] = ...) -> None: ...

class SubworkflowNode(_message.Message):
    __slots__ = ("workflow_id", "workflow_name", "version", "input", "input_json", "input_expressions", "retry_policy", "cancel_policy")
    class CancelPolicy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        CANCEL_POLICY_UNSPECIFIED: _ClassVar[SubworkflowNode.CancelPolicy]
        CANCEL: _ClassVar[SubworkflowNode.CancelPolicy]
        ABANDON: _ClassVar[SubworkflowNode.CancelPolicy]
    CANCEL_POLICY_UNSPECIFIED: SubworkflowNode.CancelPolicy
    CANCEL: SubworkflowNode.CancelPolicy
    ABANDON: SubworkflowNode.CancelPolicy
    class InputExpressionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    WORKFLOW_ID_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    INPUT_JSON_FIELD_NUMBER: _ClassVar[int]
    INPUT_EXPRESSIONS_FIELD_NUMBER: _ClassVar[int]
    RETRY_POLICY_FIELD_NUMBER: _ClassVar[int]
    CANCEL_POLICY_FIELD_NUMBER: _ClassVar[int]
    workflow_id: str
    workflow_name: str
    version: int
    input: _struct_pb2.Struct
    input_json: str
    input_expressions: _containers.ScalarMap[str, str]
    retry_policy: _retry_policy_pb2.RetryPolicy
    cancel_policy: SubworkflowNode.CancelPolicy
    def __init__(self, workflow_id: _Optional[str] = ..., workflow_name: _Optional[str] = ..., version: _Optional[int] = ..., input: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., input_json: _Optional[str] = ..., input_expressions: _Optional[_Mapping[str, str]] = ..., retry_policy: _Optional[_Union[_retry_policy_pb2.RetryPolicy, _Mapping]] = ..., cancel_policy: _Optional[_Union[SubworkflowNode.CancelPolicy, str]] = ...) -> None: ...

class WaitNode(_message.Message):
    __slots__ = ("signal", "mode", "condition", "look_back")
    class Mode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        MODE_UNSPECIFIED: _ClassVar[WaitNode.Mode]
        SIGNAL: _ClassVar[WaitNode.Mode]
        APPROVAL: _ClassVar[WaitNode.Mode]
    MODE_UNSPECIFIED: WaitNode.Mode
    SIGNAL: WaitNode.Mode
    APPROVAL: WaitNode.Mode
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    CONDITION_FIELD_NUMBER: _ClassVar[int]
    LOOK_BACK_FIELD_NUMBER: _ClassVar[int]
    signal: str
    mode: WaitNode.Mode
    condition: str
    look_back: _duration_pb2.Duration
    def __init__(self, signal: _Optional[str] = ..., mode: _Optional[_Union[WaitNode.Mode, str]] = ..., condition: _Optional[str] = ..., look_back: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Position(_message.Message):
    __slots__ = ("x", "y")
    X_FIELD_NUMBER: _ClassVar[int]
    Y_FIELD_NUMBER: _ClassVar[int]
    x: float
    y: float
    def __init__(self, x: _Optional[float] = ..., y: _Optional[float] = ...) -> None: ...

class WorkflowProblem(_message.Message):
    __slots__ = ("field", "rule", "description")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    field: str
    rule: str
    description: str
    def __init__(self, field: _Optional[str] = ..., rule: _Optional[str] = ..., description: _Optional[str] = ...) -> None: ...

class Execution(_message.Message):
    __slots__ = ("id", "name", "workflow_version", "input", "input_json", "priority", "tags", "expire_time", "workflow_id", "workflow_name", "status", "output", "output_json", "error", "failed_node_id", "node_runs", "node_run_counts", "cancel_requested", "last_sequence", "create_time", "end_time", "schedule_id", "parent_execution_id", "parent_node_run_id", "source_execution_id")
    class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATUS_UNSPECIFIED: _ClassVar[Execution.Status]
        RUNNING: _ClassVar[Execution.Status]
        COMPENSATING: _ClassVar[Execution.Status]
        SUCCEEDED: _ClassVar[Execution.Status]
        FAILED: _ClassVar[Execution.Status]
        CANCELLED: _ClassVar[Execution.Status]
    STATUS_UNSPECIFIED: Execution.Status
    RUNNING: Execution.Status
    COMPENSATING: Execution.Status
    SUCCEEDED: Execution.Status
    FAILED: Execution.Status
    CANCELLED: Execution.Status
    class View(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        VIEW_UNSPECIFIED: _ClassVar[Execution.View]
        BASIC: _ClassVar[Execution.View]
        FULL: _ClassVar[Execution.View]
    VIEW_UNSPECIFIED: Execution.View
    BASIC: Execution.View
    FULL: Execution.View
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_VERSION_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    INPUT_JSON_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_ID_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_NAME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_JSON_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    FAILED_NODE_ID_FIELD_NUMBER: _ClassVar[int]
    NODE_RUNS_FIELD_NUMBER: _ClassVar[int]
    NODE_RUN_COUNTS_FIELD_NUMBER: _ClassVar[int]
    CANCEL_REQUESTED_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    SCHEDULE_ID_FIELD_NUMBER: _ClassVar[int]
    PARENT_EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    PARENT_NODE_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    workflow_version: int
    input: _struct_pb2.Struct
    input_json: str
    priority: _task_pb2.Task.Priority
    tags: _containers.RepeatedScalarFieldContainer[str]
    expire_time: _timestamp_pb2.Timestamp
    workflow_id: str
    workflow_name: str
    status: Execution.Status
    output: _struct_pb2.Value
    output_json: str
    error: _task_pb2.TaskError
    failed_node_id: str
    node_runs: _containers.RepeatedCompositeFieldContainer[NodeRun]
    node_run_counts: NodeRunCounts
    cancel_requested: bool
    last_sequence: int
    create_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    schedule_id: str
    parent_execution_id: str
    parent_node_run_id: str
    source_execution_id: str
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., workflow_version: _Optional[int] = ..., input: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., input_json: _Optional[str] = ..., priority: _Optional[_Union[_task_pb2.Task.Priority, str]] = ..., tags: _Optional[_Iterable[str]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., workflow_id: _Optional[str] = ..., workflow_name: _Optional[str] = ..., status: _Optional[_Union[Execution.Status, str]] = ..., output: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., output_json: _Optional[str] = ..., error: _Optional[_Union[_task_pb2.TaskError, _Mapping]] = ..., failed_node_id: _Optional[str] = ..., node_runs: _Optional[_Iterable[_Union[NodeRun, _Mapping]]] = ..., node_run_counts: _Optional[_Union[NodeRunCounts, _Mapping]] = ..., cancel_requested: _Optional[bool] = ..., last_sequence: _Optional[int] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., schedule_id: _Optional[str] = ..., parent_execution_id: _Optional[str] = ..., parent_node_run_id: _Optional[str] = ..., source_execution_id: _Optional[str] = ...) -> None: ...

class NodeRunCounts(_message.Message):
    __slots__ = ("pending", "running", "waiting", "retrying", "succeeded", "failed", "skipped", "cancelled", "compensated")
    PENDING_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    RETRYING_FIELD_NUMBER: _ClassVar[int]
    SUCCEEDED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    COMPENSATED_FIELD_NUMBER: _ClassVar[int]
    pending: int
    running: int
    waiting: int
    retrying: int
    succeeded: int
    failed: int
    skipped: int
    cancelled: int
    compensated: int
    def __init__(self, pending: _Optional[int] = ..., running: _Optional[int] = ..., waiting: _Optional[int] = ..., retrying: _Optional[int] = ..., succeeded: _Optional[int] = ..., failed: _Optional[int] = ..., skipped: _Optional[int] = ..., cancelled: _Optional[int] = ..., compensated: _Optional[int] = ...) -> None: ...

class NodeRun(_message.Message):
    __slots__ = ("id", "execution_id", "node_id", "path", "parent_node_run_id", "type", "status", "attempt", "input", "input_json", "result", "result_json", "error", "progress", "task_id", "child_execution_id", "compensation_task_id", "branch", "signal", "taken_over", "create_time", "start_time", "end_time", "wake_time")
    class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATUS_UNSPECIFIED: _ClassVar[NodeRun.Status]
        PENDING: _ClassVar[NodeRun.Status]
        RUNNING: _ClassVar[NodeRun.Status]
        WAITING: _ClassVar[NodeRun.Status]
        RETRYING: _ClassVar[NodeRun.Status]
        SUCCEEDED: _ClassVar[NodeRun.Status]
        FAILED: _ClassVar[NodeRun.Status]
        SKIPPED: _ClassVar[NodeRun.Status]
        CANCELLED: _ClassVar[NodeRun.Status]
        COMPENSATED: _ClassVar[NodeRun.Status]
    STATUS_UNSPECIFIED: NodeRun.Status
    PENDING: NodeRun.Status
    RUNNING: NodeRun.Status
    WAITING: NodeRun.Status
    RETRYING: NodeRun.Status
    SUCCEEDED: NodeRun.Status
    FAILED: NodeRun.Status
    SKIPPED: NodeRun.Status
    CANCELLED: NodeRun.Status
    COMPENSATED: NodeRun.Status
    ID_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    PARENT_NODE_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    INPUT_JSON_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    RESULT_JSON_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    CHILD_EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    COMPENSATION_TASK_ID_FIELD_NUMBER: _ClassVar[int]
    BRANCH_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    TAKEN_OVER_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    WAKE_TIME_FIELD_NUMBER: _ClassVar[int]
    id: str
    execution_id: str
    node_id: str
    path: str
    parent_node_run_id: str
    type: WorkflowNode.Type
    status: NodeRun.Status
    attempt: int
    input: _struct_pb2.Struct
    input_json: str
    result: _struct_pb2.Value
    result_json: str
    error: _task_pb2.TaskError
    progress: _task_pb2.TaskProgress
    task_id: str
    child_execution_id: str
    compensation_task_id: str
    branch: str
    signal: str
    taken_over: bool
    create_time: _timestamp_pb2.Timestamp
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    wake_time: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., execution_id: _Optional[str] = ..., node_id: _Optional[str] = ..., path: _Optional[str] = ..., parent_node_run_id: _Optional[str] = ..., type: _Optional[_Union[WorkflowNode.Type, str]] = ..., status: _Optional[_Union[NodeRun.Status, str]] = ..., attempt: _Optional[int] = ..., input: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., input_json: _Optional[str] = ..., result: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., result_json: _Optional[str] = ..., error: _Optional[_Union[_task_pb2.TaskError, _Mapping]] = ..., progress: _Optional[_Union[_task_pb2.TaskProgress, _Mapping]] = ..., task_id: _Optional[str] = ..., child_execution_id: _Optional[str] = ..., compensation_task_id: _Optional[str] = ..., branch: _Optional[str] = ..., signal: _Optional[str] = ..., taken_over: _Optional[bool] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., wake_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ExecutionEvent(_message.Message):
    __slots__ = ("execution_id", "sequence", "kind", "event_time", "status", "actor", "node_run", "error", "message")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[ExecutionEvent.Kind]
        CREATED: _ClassVar[ExecutionEvent.Kind]
        NODE_STARTED: _ClassVar[ExecutionEvent.Kind]
        NODE_PROGRESS: _ClassVar[ExecutionEvent.Kind]
        NODE_WAITING: _ClassVar[ExecutionEvent.Kind]
        NODE_RETRYING: _ClassVar[ExecutionEvent.Kind]
        NODE_SUCCEEDED: _ClassVar[ExecutionEvent.Kind]
        NODE_FAILED: _ClassVar[ExecutionEvent.Kind]
        NODE_SKIPPED: _ClassVar[ExecutionEvent.Kind]
        NODE_CANCELLED: _ClassVar[ExecutionEvent.Kind]
        NODE_COMPENSATED: _ClassVar[ExecutionEvent.Kind]
        SIGNALLED: _ClassVar[ExecutionEvent.Kind]
        CANCEL_REQUESTED: _ClassVar[ExecutionEvent.Kind]
        COMPENSATING: _ClassVar[ExecutionEvent.Kind]
        SUCCEEDED: _ClassVar[ExecutionEvent.Kind]
        FAILED: _ClassVar[ExecutionEvent.Kind]
        CANCELLED: _ClassVar[ExecutionEvent.Kind]
        RETRIED: _ClassVar[ExecutionEvent.Kind]
    KIND_UNSPECIFIED: ExecutionEvent.Kind
    CREATED: ExecutionEvent.Kind
    NODE_STARTED: ExecutionEvent.Kind
    NODE_PROGRESS: ExecutionEvent.Kind
    NODE_WAITING: ExecutionEvent.Kind
    NODE_RETRYING: ExecutionEvent.Kind
    NODE_SUCCEEDED: ExecutionEvent.Kind
    NODE_FAILED: ExecutionEvent.Kind
    NODE_SKIPPED: ExecutionEvent.Kind
    NODE_CANCELLED: ExecutionEvent.Kind
    NODE_COMPENSATED: ExecutionEvent.Kind
    SIGNALLED: ExecutionEvent.Kind
    CANCEL_REQUESTED: ExecutionEvent.Kind
    COMPENSATING: ExecutionEvent.Kind
    SUCCEEDED: ExecutionEvent.Kind
    FAILED: ExecutionEvent.Kind
    CANCELLED: ExecutionEvent.Kind
    RETRIED: ExecutionEvent.Kind
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    EVENT_TIME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    NODE_RUN_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    execution_id: str
    sequence: int
    kind: ExecutionEvent.Kind
    event_time: _timestamp_pb2.Timestamp
    status: Execution.Status
    actor: str
    node_run: NodeRun
    error: _task_pb2.TaskError
    message: str
    def __init__(self, execution_id: _Optional[str] = ..., sequence: _Optional[int] = ..., kind: _Optional[_Union[ExecutionEvent.Kind, str]] = ..., event_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., status: _Optional[_Union[Execution.Status, str]] = ..., actor: _Optional[str] = ..., node_run: _Optional[_Union[NodeRun, _Mapping]] = ..., error: _Optional[_Union[_task_pb2.TaskError, _Mapping]] = ..., message: _Optional[str] = ...) -> None: ...
