"""The command line and the Python call that repeat a comparison."""

import inspect
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from bayesgmm.comparison.both import Both
from bayesgmm.data.choices import model_names
from bayesgmm.data.datasets import dataset_names, describe
from bayesgmm.data.table import Table

if TYPE_CHECKING:
    from bayesgmm.comparison.compare import Comparison
    from bayesgmm.comparison.programs import ProgramComparison

Told = Mapping[str, Any]
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
    model = _model(comparison.fits[0])
    models = [] if model == "gaussian" else ["--model", model]
    return _command(comparison.table, comparison.provenance, _range(_ks(comparison)), models)


def programs_command_line(comparison: "ProgramComparison") -> str | None:
    """The command that repeats a comparison of programs; None as `command_line`."""
    asked = _asked(comparison)
    ks = [each.n_components for each in asked]
    numbers = str(ks[0]) if len(set(ks)) == 1 else ",".join(map(str, ks))
    models = ["--models", *(_model(each) for each in asked)]
    return _command(comparison.table, comparison.provenance, numbers, models)


def _command(table: Table, told: Told, ks: str, models: Sequence[str | None]) -> str | None:
    data, named = data_word(table), [model for model in models if model is not None]
    if data is None or len(named) < len(models) or told["seed"] is None:
        return None
    if any("," in column for column in table.columns):
        return None
    words = ["bayesgmm", "compare", data, "-k", ks]
    if _chosen_columns(table):
        words += ["--columns", ",".join(table.columns)]
    if _weighted_by_hand(table):
        words += ["--weights", "COLUMN"]
    words += named
    for name, value in _priors(told).items():
        values = value if isinstance(value, list | tuple) else [value]
        words += ["--prior", f"{name}={','.join(f'{v}' for v in values)}"]
    for name, value in _changed(told).items():
        words += [OPTIONS[name], str(value)]
    return shlex.join([*words, "--seed", str(told["seed"])])


def python_call(comparison: "Comparison") -> str:
    """The call that repeats the comparison; X stands for data that have no name."""
    first, ks = comparison.fits[0], _ks(comparison)
    consecutive = len(ks) > 2 and ks == list(range(ks[0], ks[-1] + 1))
    numbers = f"range({ks[0]}, {ks[-1] + 1})" if consecutive else repr(ks)
    own = [] if _model(first) == "gaussian" else [f"model={_quoted(first)}"]
    return _call(comparison.table, comparison.provenance, [numbers, *own])


def programs_python_call(comparison: "ProgramComparison") -> str:
    """The call that repeats a comparison of programs; X as in `python_call`."""
    asked = _asked(comparison)
    ks = [each.n_components for each in asked]
    numbers = str(ks[0]) if len(set(ks)) == 1 else repr(ks)
    models = f"models=[{', '.join(map(_quoted, asked))}]"
    return _call(comparison.table, comparison.provenance, [numbers, models])


def _call(table: Table, told: Told, arguments: Sequence[str]) -> str:
    data, seed = data_word(table), told["seed"]
    words = ["X" if data is None else repr(data), *arguments]
    if _priors(told):
        words.append(f"priors={_priors(told)!r}")
    if _chosen_columns(table):
        words.append(f"columns={list(table.columns)!r}")
    if _weighted_by_hand(table):
        words.append("sample_weight=...")
    words += [f"{name}={value!r}" for name, value in _changed(told).items()]
    words.append(f"random_state={'rng' if seed is None else seed}")
    return f"import bayesgmm\nbayesgmm.compare({', '.join(words)})"


def record(told: Told) -> Iterator[tuple[str, str | Markup]]:
    """Data, models, seed, options and versions, by which another run can be told to be the same."""
    code = Markup("<code>{}</code>").format
    yield "data", f"{told['data']}; {told['source']}"
    yield "rows, columns", f"{told['rows']}; {', '.join(told['columns'])}"
    yield "sha256 of the data", code(told["data_sha256"])
    for name, sha256 in _models(told).items():
        yield f"model {name}", code(sha256 or "no file of its own")
    yield "seed", "none: a generator was given" if told["seed"] is None else str(told["seed"])
    yield "options", "; ".join(f"{name} = {value}" for name, value in told["options"].items())
    yield "versions", ", ".join(f"{name} {v}" for name, v in told["versions"].items())
    yield "date", told["date"]


def _models(told: Told) -> dict[str, str]:
    """Every program's name with the sha256 of its file."""
    if "models" in told:
        return {name: sha256 for name, sha256, _ in told["models"]}
    return {told["model"]: told["model_sha256"]}


def _asked(comparison: "ProgramComparison") -> list[Both]:
    """The fits in the order in which their programs were named."""
    return [comparison.fit(name, k) for name, _, k in comparison.provenance["models"]]


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


def _model(both: Both) -> str | None:
    """The name of one of the library's programs, or that of the user's file; None for others."""
    if both.program is None:
        return both.model if both.model in model_names() else None
    if both.program.is_ours:
        return both.model
    return Path(both.program.path).name or None


def _quoted(both: Both) -> str:
    """The program as a call names it; a function by its own name."""
    model = _model(both)
    return both.model if model is None else repr(model)


def _priors(told: Told) -> dict[str, Any]:
    return dict(told.get("options", {}).get("priors") or {})


def _changed(told: Told) -> dict[str, Any]:
    """The options that differ from the defaults of `compare`."""
    from bayesgmm.comparison.compare import compare

    parameters = inspect.signature(compare).parameters
    defaults = {name: parameters[name].default for name in OPTIONS}
    options = told.get("options", {})
    given = {name: options[name] for name in OPTIONS if options.get(name) is not None}
    return {name: value for name, value in given.items() if value != defaults[name]}
