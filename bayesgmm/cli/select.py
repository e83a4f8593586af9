"""`bayesgmm select`: covariance families and numbers of components by maximum likelihood."""

import argparse
from typing import Any

from bayesgmm.cli.options import (
    command,
    criterion_option,
    data_options,
    help_option,
    output_options,
    starts_options,
)
from bayesgmm.cli.output import outputs_of, say_written, show, write_json
from bayesgmm.cli.progress import ProgressLine
from bayesgmm.cli.values import numbers_of_components, table_of

EXAMPLES = """\
examples:
  bayesgmm select iris -k 1:9
  bayesgmm select faithful -k 1:6 --families full,tied --criterion icl
  bayesgmm select galaxies -k 1:4 --lrt --resamples 39   tests of k, k + 1
"""


def add_to(commands: Any) -> None:
    """Make the command known."""
    parser = command(
        commands,
        "bayesgmm select DATA [-k K1:K2] [options]",
        _run,
        "rank covariance families and k by maximum likelihood",
        EXAMPLES,
    )
    data_options(parser, "1:9")
    model = parser.add_argument_group("model")
    model.add_argument(
        "--families", default="all", metavar="NAMES", help="such as full,tied or VVV,EEE (all)"
    )
    criterion_option(model)
    checks = parser.add_argument_group("checks")
    checks.add_argument(
        "--lrt", action="store_true", help="test k against k + 1 in the best family by bootstrap"
    )
    checks.add_argument(
        "--resamples",
        type=int,
        default=199,
        metavar="N",
        help="with --lrt: simulated data sets of each test (199)",
    )
    starts_options(parser.add_argument_group("starts"))
    output_options(parser)
    help_option(parser)


def _run(options: argparse.Namespace) -> None:
    ks = numbers_of_components(options.k)
    table, outputs = table_of(options), outputs_of(options, "json")
    from bayesgmm.data.randomness import generator
    from bayesgmm.gaussian.families import families_for, family
    from bayesgmm.ml.likelihood_ratio import in_sequence
    from bayesgmm.ml.selection import scan

    chosen = options.families.split(",")
    members = families_for(len(table.columns)) if chosen == ["all"] else map(family, chosen)
    names = [member.name for member in members]
    rng, _ = generator(options.seed)
    with ProgressLine(options.quiet) as progress:
        progress("covariance families", 0, 1)
        selection = scan(table, ks, names, rng, options.criterion, options.starts)
        ratios = None
        if options.lrt:
            best = selection.best_.family.name
            resamples = options.resamples
            ratios = in_sequence(table, ks, best, rng, resamples, progress=progress)
    show(selection)
    if ratios:
        show(f"\n{ratios}")
    if outputs["json"]:
        tests = {"likelihood_ratios": ratios.to_dict()} if ratios else {}
        write_json(outputs["json"], selection.to_dict() | tests)
    say_written(outputs)
