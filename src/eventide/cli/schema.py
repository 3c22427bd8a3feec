"""`eventide schema`: what a file looks like, whether a pipeline reads it, what differs between two schemas.

Law: it reads and never writes. Exit code 0: everything fits; 1: something does not.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from eventide.cli.pipeline import Pipeline, load, text_of
from eventide.connectors.formats.csv import Csv
from eventide.connectors.formats.declarations import declared_avro, declared_json
from eventide.connectors.formats.encoded import RegistryFormat
from eventide.connectors.formats.messages import MessageParser
from eventide.connectors.inference import RECORDS, declared_file, inferred, is_data
from eventide.connectors.registry.client import Answers
from eventide.connectors.schemas import schema_from, schema_to
from eventide.errors import EventideError, PlanError
from eventide.plan import Stream
from eventide.semantics.schema import Change, Declared, Schema, declared_by_plan, diff, judged

schema = typer.Typer(help="Schemas: infer, check, diff.", no_args_is_help=True)

_PLANS = (".py", ".yaml", ".yml", ".json")


@schema.command()
def infer(
    file: Annotated[Path, typer.Argument(help="A .csv, .ndjson, .jsonl or .parquet file, also .gz or .zst.")],
    records: Annotated[int, typer.Option(help="How many records are looked at.", min=1)] = RECORDS,
) -> None:
    """Print the schema that a file's first records have, as a plan's text holds it."""
    typer.echo(yaml.safe_dump(schema_to(inferred(file, records)), sort_keys=False, allow_unicode=True), nl=False)


@schema.command()
def check(
    pipeline: Pipeline,
    data: Annotated[str, typer.Argument(help="A file of records, a schema (.avsc, .json), or a subject.")],
    source: Annotated[str | None, typer.Option(help="The source that is meant; without it all of them.")] = None,
) -> None:
    """Look whether a pipeline reads a file, a schema, or the newest version of a subject."""
    found: list[Change] = []
    for name, rules, parser, by_header in _sources(load(pipeline), source):
        envelope = getattr(parser.format, "envelope", None) if parser is not None else None
        if Path(data).exists():
            new, earlier = _declared(Path(data)), []
        else:
            *earlier, new = _versions(data, name, parser)
        mine = judged(rules, envelope, new, earlier)
        if by_header:
            mine = [replace(one, fits=False) if new.at(one.path) is None else one for one in mine]
        found += [*(diff(earlier[-1], new) if earlier else []), *mine]
        _say(found)
        typer.echo(f"{name}: {_summary(mine, 'reads it')}")
    raise typer.Exit(int(any(not one.fits for one in found)))


@schema.command("diff")
def differences(
    old: Annotated[Path, typer.Argument(help="A pipeline, a schema (.avsc, .json, .yaml) or a file.")],
    new: Annotated[Path, typer.Argument(help="The same choice.")],
) -> None:
    """Say in what the new one differs, and whether who read the old one reads the new one rightly."""
    found = diff(_declared(old), _declared(new))
    _say(found)
    typer.echo(_summary(found, "fits") if found else "no difference")
    raise typer.Exit(int(any(not one.fits for one in found)))


def _say(changes: Sequence[Change]) -> None:
    for one in changes:
        typer.echo(f"{'fits          ' if one.fits else 'does not fit  '}{one}")


def _summary(changes: Sequence[Change], good: str) -> str:
    bad = sum(not one.fits for one in changes)
    return good if not bad else f"{bad} change{'s' * (bad > 1)} that cannot be read rightly"


def _sources(stream: Stream, wanted: str | None) -> Iterator[tuple[str, Schema, MessageParser | None, bool]]:
    """The sources of a pipeline that have a schema: name, rules with paths from the root, how messages are read,
    and whether each file has a header that must name all columns.
    """
    none = True
    for one in stream.plan.inputs:
        source: Any = one.source
        while not hasattr(source, "schema") and hasattr(source, "source"):
            source = source.source
        if not hasattr(source, "schema") or wanted not in (None, source.name):
            continue
        none = False
        parser = getattr(source, "parser", None)
        by_header = isinstance(getattr(source, "format", None), Csv)
        yield source.name, source.schema if parser is None else parser.rules, parser, by_header
    if none:
        raise PlanError.of(
            "schema", f"no source{f' named {wanted}' if wanted else ''} has a schema", "Name another one"
        )


def _versions(subject: str, source: str, parser: MessageParser | None) -> list[Declared]:
    """The versions of a subject in the registry of a source."""
    if parser is None or not isinstance(parser.format, RegistryFormat):
        raise EventideError(f"there is no file {subject}, and the source {source} has no registry to ask for a subject")
    found = Answers(parser.format.registry).versions(subject)
    if not found:
        raise EventideError(f"there is no file {subject}, and the {parser.format.registry} has no such subject")
    return [one.schema.declared for one in found]


def _declared(path: Path) -> Declared:
    """What a file says: records, a schema's text, an inferred schema, or a pipeline with one source."""
    if not path.exists():
        raise EventideError(f"there is no file {path}")
    if is_data(path):
        return declared_file(path)
    if path.suffix == ".avsc":
        return declared_avro(text_of(path))
    if path.suffix not in _PLANS:
        raise EventideError(
            f"{path}: what it holds is not known by its name. Give a .avsc, .json, .yaml, .py or data file"
        )
    tree = yaml.safe_load(text_of(path)) if path.suffix != ".py" else None
    if isinstance(tree, dict) and "eventide" not in tree:
        if "columns" in tree:
            return declared_by_plan(schema_from(tree))
        return declared_avro(json.dumps(tree)) if tree.get("type") == "record" else declared_json(json.dumps(tree))
    rules = [rules for _, rules, _, _ in _sources(load(path), None)]
    if len(rules) > 1:
        raise PlanError.of("schema", f"{path} has {len(rules)} sources", "Compare one schema at a time")
    return declared_by_plan(rules[0])
