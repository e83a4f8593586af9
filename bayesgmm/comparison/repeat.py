"""The command line and the Python call that repeat a comparison."""

import inspect
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayesgmm.data.choices import model_names, models_folder
from bayesgmm.data.datasets import dataset_names, describe
from bayesgmm.data.table import Table

if TYPE_CHECKING:
    from bayesgmm.comparison.compare import Comparison

OPTIONS = {
    "criterion": "--criterion",
    "inference": "--inference",
    "num_chains": "--chains",
    "num_warmup": "--warmup",
    "num_draws": "--draws",
    "max_draws": "--max-draws",
    "n_init": "--starts",
}
FILES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet")


def command_line(comparison: "Comparison") -> str | None:
    """The command that repeats the comparison; None where the data or the model have no name.

    Options that have their default value are left out.
    """
    table, model, seed = comparison.table, _model(comparison), comparison.provenance["seed"]
    data = data_word(table)
    if data is None or model is None or seed is None or any("," in c for c in table.columns):
        return None
    words = ["bayesgmm", "compare", data, "-k", _range(_ks(comparison))]
    if _chosen_columns(table):
        words += ["--columns", ",".join(table.columns)]
    if _weighted_by_hand(table):
        words += ["--weights", "COLUMN"]
    words += [] if model == "gaussian" else ["--model", model]
    for name, value in _priors(comparison).items():
        values = value if isinstance(value, list | tuple) else [value]
        words += ["--prior", f"{name}={','.join(f'{v}' for v in values)}"]
    for name, value in _changed(comparison).items():
        words += [OPTIONS[name], str(value)]
    return shlex.join([*words, "--seed", str(seed)])


def python_call(comparison: "Comparison") -> str:
    """The call that repeats the comparison; X stands for data that have no name."""
    table, model, seed = comparison.table, _model(comparison), comparison.provenance["seed"]
    data, ks = data_word(table), _ks(comparison)
    consecutive = len(ks) > 2 and ks == list(range(ks[0], ks[-1] + 1))
    arguments = [
        "X" if data is None else repr(data),
        f"range({ks[0]}, {ks[-1] + 1})" if consecutive else repr(ks),
    ]
    if model != "gaussian":
        arguments.append(f"model={comparison.fits[0].model if model is None else repr(model)}")
    if _priors(comparison):
        arguments.append(f"priors={_priors(comparison)!r}")
    if _chosen_columns(table):
        arguments.append(f"columns={list(table.columns)!r}")
    if _weighted_by_hand(table):
        arguments.append("sample_weight=...")
    arguments += [f"{name}={value!r}" for name, value in _changed(comparison).items()]
    arguments.append(f"random_state={'rng' if seed is None else seed}")
    return f"import bayesgmm\nbayesgmm.compare({', '.join(arguments)})"


def _ks(comparison: "Comparison") -> list[int]:
    return [each.n_components for each in comparison.fits]


def _range(ks: Sequence[int]) -> str:
    if len(ks) > 1 and list(ks) == list(range(ks[0], ks[-1] + 1)):
        return f"{ks[0]}:{ks[-1]}"
    return ",".join(map(str, ks))


def _shipped(table: Table) -> bool:
    """Whether the table is a whole data set of the library."""
    if table.name not in dataset_names():
        return False
    about = describe(table.name)
    return (table.source, table.n_rows) == (about.source, about.n_rows)


def data_word(table: Table) -> str | None:
    """What the command line would call the data: the name of a data set or a path."""
    if _shipped(table):
        return table.name
    return table.source if table.source.lower().endswith(FILES) else None


def _chosen_columns(table: Table) -> bool:
    """Columns of a data set are told where not all were used, those of other data always."""
    return not (_shipped(table) and len(table.columns) == describe(table.name).n_columns)


def _weighted_by_hand(table: Table) -> bool:
    if table.row_weights is None:
        return False
    return not (_shipped(table) and describe(table.name).row_weights is not None)


def _model(comparison: "Comparison") -> str | None:
    """The name of one of the library's programs, or that of the user's file; None for others."""
    first = comparison.fits[0]
    if first.program is None:
        return first.model if first.model in model_names() else None
    path = Path(first.program.path)
    return first.model if path.parent == models_folder() else path.name or None


def _priors(comparison: "Comparison") -> dict[str, Any]:
    return dict(comparison.provenance.get("options", {}).get("priors") or {})


def _changed(comparison: "Comparison") -> dict[str, Any]:
    """The options that differ from the defaults of `compare`."""
    from bayesgmm.comparison.compare import compare

    parameters = inspect.signature(compare).parameters
    defaults = {name: parameters[name].default for name in OPTIONS}
    told = comparison.provenance.get("options", {})
    given = {name: told[name] for name in OPTIONS if told.get(name) is not None}
    return {name: value for name, value in given.items() if value != defaults[name]}
