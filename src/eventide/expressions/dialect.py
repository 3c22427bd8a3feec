"""The grammar of expressions as text: a small part of SQL, with `//` and `**` beside it.

Law: only words of this grammar mean something; every function is a plain call by name, so that a column or a function
may be called like any other word of SQL. This module is the only one that loads sqlglot at its head: import it late.
"""

from __future__ import annotations

from typing import Any, ClassVar

from sqlglot import exp, generator, parser, tokens
from sqlglot.dialects.dialect import Dialect
from sqlglot.tokens import TokenType  # type: ignore[attr-defined] # sqlglot's own dialects import it so

OPERATORS: dict[str, type[exp.Binary]] = {
    "add": exp.Add,
    "and": exp.And,
    "div": exp.Div,
    "eq": exp.EQ,
    "floordiv": exp.IntDiv,
    "ge": exp.GTE,
    "gt": exp.GT,
    "le": exp.LTE,
    "lt": exp.LT,
    "mod": exp.Mod,
    "mul": exp.Mul,
    "ne": exp.NEQ,
    "or": exp.Or,
    "pow": exp.Pow,
    "sub": exp.Sub,
}
"""The functions that are written as operators between two operands."""

CASTS = {
    "to_boolean": exp.DataType.Type.BOOLEAN,
    "to_float": exp.DataType.Type.DOUBLE,
    "to_instant": exp.DataType.Type.TIMESTAMP,
    "to_integer": exp.DataType.Type.BIGINT,
    "to_string": exp.DataType.Type.TEXT,
}
"""The functions that are written as casts, with the SQL types that they print."""

WORDS = {
    "AND": TokenType.AND,
    "AS": TokenType.ALIAS,
    "BETWEEN": TokenType.BETWEEN,
    "CASE": TokenType.CASE,
    "ELSE": TokenType.ELSE,
    "END": TokenType.END,
    "FALSE": TokenType.FALSE,
    "IN": TokenType.IN,
    "IS": TokenType.IS,
    "NOT": TokenType.NOT,
    "NULL": TokenType.NULL,
    "OR": TokenType.OR,
    "THEN": TokenType.THEN,
    "TRUE": TokenType.TRUE,
    "WHEN": TokenType.WHEN,
    "BIGINT": TokenType.BIGINT,
    "BOOLEAN": TokenType.BOOLEAN,
    "DOUBLE": TokenType.DOUBLE,
    "FLOAT": TokenType.FLOAT,
    "INTEGER": TokenType.INT,
    "STRING": TokenType.TEXT,
    "TEXT": TokenType.TEXT,
    "TIMESTAMP": TokenType.TIMESTAMP,
}
"""The words of the grammar: a column called like one of them is written in double quotes."""

CALLS = ("CAST", "TRY_CAST")


def _not(self: generator.Generator, node: exp.Not) -> str:
    if isinstance(node.this, exp.Is):
        return f"{self.sql(node.this, 'this')} IS NOT {self.sql(node.this, 'expression')}"
    return self.not_sql(node)


class EventideDialect(Dialect):
    """Expressions of Eventide as text."""

    class Tokenizer(tokens.Tokenizer):
        KEYWORDS: ClassVar[dict[str, TokenType]] = {
            **WORDS,
            "!=": TokenType.NEQ,
            "**": TokenType.DSTAR,
            "//": TokenType.DIV,
            "<=": TokenType.LTE,
            "<>": TokenType.NEQ,
            "=>": TokenType.FARROW,
            ">=": TokenType.GTE,
        }

    class Parser(parser.Parser):
        FUNCTIONS: ClassVar[dict[str, Any]] = {}
        FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {
            name: read for name, read in parser.Parser.FUNCTION_PARSERS.items() if name in CALLS
        }
        NO_PAREN_FUNCTIONS: ClassVar[dict[Any, Any]] = {}
        NO_PAREN_FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {"CASE": parser.Parser.NO_PAREN_FUNCTION_PARSERS["CASE"]}
        EXPONENT: ClassVar[dict[TokenType, type[exp.Expr]]] = {TokenType.DSTAR: exp.Pow}

    class Generator(generator.Generator):
        TRANSFORMS: ClassVar[dict[Any, Any]] = {
            **generator.Generator.TRANSFORMS,
            exp.Array: lambda self, node: f"[{self.expressions(node, flat=True)}]",
            exp.Not: _not,
            exp.IntDiv: lambda self, node: self.binary(node, "//"),
            exp.Pow: lambda self, node: self.binary(node, "**"),
        }


class EventideFlink(Dialect):
    """The part of Flink SQL that expressions print; sqlglot has no Flink of its own."""

    class Tokenizer(tokens.Tokenizer):
        IDENTIFIERS: ClassVar[list[str | tuple[str, str]]] = ["`"]

    class Generator(generator.Generator):
        TYPE_MAPPING: ClassVar[dict[Any, Any]] = {
            **generator.Generator.TYPE_MAPPING,
            exp.DataType.Type.TEXT: "STRING",
            exp.DataType.Type.TIMESTAMP: "TIMESTAMP_LTZ(6)",
        }
