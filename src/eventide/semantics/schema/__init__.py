"""What an event must look like: fields, their rules, and the schema that holds them.

Law: a schema is a value; the readers of every format apply the same one in the same way.
"""

from eventide.semantics.schema.changes import Change, diff, judged
from eventide.semantics.schema.declared import Declaration, Declared, declared_by_plan
from eventide.semantics.schema.fields import (
    UNKNOWN_FIELDS,
    DataType,
    Field,
    FieldLike,
    Schema,
    SchemaLike,
    Unit,
    Unknown,
    as_schema,
    field,
    schema,
)

__all__ = [
    "UNKNOWN_FIELDS",
    "Change",
    "DataType",
    "Declaration",
    "Declared",
    "Field",
    "FieldLike",
    "Schema",
    "SchemaLike",
    "Unit",
    "Unknown",
    "as_schema",
    "declared_by_plan",
    "diff",
    "field",
    "judged",
    "schema",
]
