"""`bayesgmm compare`: numbers of components both ways, or programs."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bayesgmm.cli.interrupts import INTERRUPTED
from bayesgmm.cli.options import (
    command,
    criterion_option,
    data_options,
    help_option,
    model_options,
    output_options,
    sampler_options,
)
from bayesgmm.cli.output import outputs_of, say_written, show, write_json
from bayesgmm.cli.progress import ProgressLine
from bayesgmm.cli.values import (
    numbers_of_components,
    one_or_each,
    priors_of,
    settings_of,
    table_of,
    told,
)
from bayesgmm.data.errors import InputError

EXAMPLES = """\
examples:
  bayesgmm compare faithful -k 1:6 --report faithful.html
  bayesgmm compare my.csv -k 1:4 --columns height,weight --model gaussian_tied
  bayesgmm compare faithful -k 2 --models gaussian student_t   which program
  bayesgmm compare faithful -k 1:3 --calibrate 20              do they hold
"""


def add_to(commands: Any) -> None:
    """Make the command known."""
    parser = command(
        commands,
        "bayesgmm compare DATA [-k K1:K2] [options]",
        _run,
        "compare numbers of components both ways, or programs",
        EXAMPLES,
    )
    data_options(parser, "1:6")
    model = parser.add_argument_group("model")
    model_options(model)
    model.add_argument(
        "--models",
        nargs="+",
        metavar="NAME",
        help="compare these programs instead, with -k K, or one k for each: -k 3,2",
    )
    criterion_option(model)
    sampler_options(parser)
    checks = parser.add_argument_group("checks")
    checks.add_argument(
        "--calibrate",
        type=int,
        metavar="N",
        help="refit N data sets simulated from the chosen fit: do intervals cover, is k found",
    )
    output = output_options(parser)
    output.add_argument("--report", metavar="FILE.html", help="write a self-contained report")
    help_option(parser)


def _run(options: argparse.Namespace) -> int:
    return _programs(options) if options.models else _components(options)


def _components(options: argparse.Namespace) -> int:
    ks = numbers_of_components(options.k)
    table, outputs = table_of(options), outputs_of(options, "report", "json")
    from bayesgmm.bayes.program import load_model
    from bayesgmm.comparison import compare
    from bayesgmm.data.randomness import generator

    rng, seed = generator(options.seed)
    program, settings = load_model(options.model), settings_of(options)
    priors = priors_of(options.prior)
    asked = {"n_components": ks, "priors": priors or None, "criterion": options.criterion}
    with ProgressLine(options.quiet) as progress:
        comparison = compare.run(
            table,
            sorted({1, *ks}),
            program,
            priors,
            options.criterion,
            settings,
            options.starts,
            rng,
            seed,
            asked | told(options),
            progress,
        )
        if options.calibrate is not None:
            comparison = comparison.calibrated(options.calibrate, rng, progress)
    show(comparison)
    show(f"\n{comparison.summary()}")
    if comparison.calibration:
        show(f"\n{comparison.calibration}")
    return _written(comparison, outputs)


def _programs(options: argparse.Namespace) -> int:
    if options.calibrate is not None:
        raise InputError("--calibrate is of one program; leave out --models, or --calibrate.")
    ks, table = one_or_each(options.k), table_of(options)
    outputs = outputs_of(options, "json", "report")
    from bayesgmm.comparison import programs
    from bayesgmm.comparison.compare import check_alone
    from bayesgmm.data.randomness import generator

    check_alone(options.model, options.criterion)
    rng, seed = generator(options.seed)
    several = programs.paired(options.models, ks)
    priors, settings = priors_of(options.prior), settings_of(options)
    asked = {"n_components": [k for _, k in several], "priors": priors or None, **told(options)}
    with ProgressLine(options.quiet) as progress:
        own = (priors, settings, options.starts, rng, seed, asked, progress)
        comparison = programs.run(table, several, *own)
    show(comparison)
    return _written(comparison, outputs)


def _written(comparison: Any, outputs: Mapping[str, Path | None]) -> int:
    """The exit status, once what was asked for is in its files."""
    if outputs["report"]:
        comparison.report(outputs["report"])
    if outputs["json"]:
        write_json(outputs["json"], comparison.to_dict())
    say_written(outputs)
    return INTERRUPTED if comparison.interrupted else 0
