"""Reads of earlier stages inside an expression: DuckDB has their rows as tables, PostgreSQL gets them in slots."""

from __future__ import annotations

from qserv_py.planner.plan.nodes import InStage, StageExists, StageValue
from qserv_py.planner.plan.slots import ValuesForm, ValuesSlot
from qserv_py.planner.writing.dialects import Engine, quoted
from qserv_py.planner.writing.statement import Statement


def in_stage(expr: InStage, operand: str, statement: Statement) -> str:
    """Return whether the operand, SQL already, is among the rows of a stage."""
    statement.reads.append(expr.stage)
    if statement.engine is Engine.DUCKDB:
        return f"({operand} IN (SELECT {quoted(expr.column.label)} FROM {quoted(expr.stage)}))"
    slot = ValuesSlot(
        stage=expr.stage,
        columns=(expr.column,),
        form=ValuesForm.LIST,
        placing=expr.placing,
        narrows=expr.placing is not None,
    )
    return f"({operand} {statement.mark(slot)})"


def stage_exists(expr: StageExists, statement: Statement) -> str:
    """Return whether a stage has rows."""
    statement.reads.append(expr.stage)
    if statement.engine is Engine.DUCKDB:
        return f"EXISTS (SELECT 1 FROM {quoted(expr.stage)})"
    return statement.mark(ValuesSlot(stage=expr.stage, columns=expr.columns, form=ValuesForm.EXISTS))


def stage_value(expr: StageValue, statement: Statement) -> str:
    """Return the one value of a stage."""
    statement.reads.append(expr.stage)
    if statement.engine is Engine.DUCKDB:
        return f"(SELECT {quoted(expr.column.label)} FROM {quoted(expr.stage)})"
    return statement.mark(ValuesSlot(stage=expr.stage, columns=(expr.column,), form=ValuesForm.SCALAR))
