"""Which fields of a resource an update is to change."""

from collections.abc import Collection

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from taskflow_core.errors import InvalidArgument


def fields_to_change(mask: FieldMask, resource: Message, changeable: Collection[str]) -> set[str]:
    """The names in the mask; all for `*`; without a mask those that are set in the resource.

    Raises InvalidArgument at `update_mask` for what cannot be changed.
    """
    if not mask.paths:
        return {field.name for field, _ in resource.ListFields()} & set(changeable)
    if list(mask.paths) == ["*"]:
        return set(changeable)
    for path in mask.paths:
        if path not in changeable:
            allowed = ", ".join(sorted(changeable))
            raise InvalidArgument.at(
                "update_mask",
                f"{path!r} is not a field that can be changed; allowed: {allowed}, *",
                found=path,
            )
    return set(mask.paths)
