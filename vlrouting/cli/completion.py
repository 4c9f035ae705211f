"""What the shell offers after <Tab>: experiments, points, keys and their choices."""

from __future__ import annotations

import typer


def experiments(incomplete: str) -> list[tuple[str, str]]:
    """Names of the folder experiments/, each with what its file says of itself."""
    from vlrouting.experiment.catalog import catalog

    return [(name, text) for name, text in catalog().items() if name.startswith(incomplete)]


def datasets_and_experiments(incomplete: str) -> list[tuple[str, str]]:
    """What `vlrouting data check` takes."""
    from vlrouting.config import DATASETS

    named = [(name, "dataset") for name in DATASETS if name.startswith(incomplete)]
    return [*named, *experiments(incomplete)]


def points(ctx: typer.Context, incomplete: str) -> list[str]:
    """Points of the experiment that was typed before."""
    from vlrouting.experiment import UserError, load

    try:
        found = load(str(ctx.params.get("experiment")), ctx.params.get("overrides") or ()).points
    except UserError:
        return []
    return [point.name for point in found if point.name.startswith(incomplete)]


def settings(incomplete: str) -> list[str]:
    """`key=` for every key, and after the sign the values that it can have."""
    from vlrouting.experiment import schema
    from vlrouting.experiment.manual import choices

    key, sign, _ = incomplete.partition("=")
    if sign:
        return [text for value in choices(key) if (text := f"{key}={value}").startswith(incomplete)]
    return [f"{known}=" for known in keys(incomplete) if not schema.is_section(schema.hint_of(known))]


def keys(incomplete: str) -> list[str]:
    """Keys, sections included."""
    from vlrouting.experiment import schema

    return [known for known in schema.all_keys() if known.startswith(incomplete)]


def points_and_settings(ctx: typer.Context, incomplete: str) -> list[str]:
    """Both, where either can stand."""
    return [*points(ctx, incomplete), *settings(incomplete)]
