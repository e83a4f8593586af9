"""`bayesgmm fit`: k components both ways, every parameter."""

import argparse
from dataclasses import replace
from typing import Any

from bayesgmm.cli.interrupts import INTERRUPTED
from bayesgmm.cli.options import (
    command,
    data_options,
    help_option,
    map_option,
    model_options,
    output_options,
    sampler_options,
)
from bayesgmm.cli.output import outputs_of, say_written, show, write_json
from bayesgmm.cli.progress import ProgressLine
from bayesgmm.cli.values import priors_of, settings_of, table_of, told

EXAMPLES = """\
examples:
  bayesgmm fit faithful -k 2
  bayesgmm fit my.csv -k 3 --columns height,weight --save my.nc
  bayesgmm fit faithful -k 2 --model student_t --prior weights=2
  bayesgmm fit faithful -k 2 --inference laplace     an approximation
"""


def add_to(commands: Any) -> None:
    """Make the command known."""
    parser = command(
        commands,
        "bayesgmm fit DATA -k K [options]",
        _run,
        "fit k components both ways; print every parameter",
        EXAMPLES,
    )
    data_options(parser)
    model_options(parser.add_argument_group("model"))
    sampler = sampler_options(parser)
    sampler.add_argument(
        "--checkpoint",
        metavar="FILE",
        help="keep the chains there; after a kill the same command goes on",
    )
    checks = parser.add_argument_group("checks")
    checks.add_argument(
        "--reloo", action="store_true", help="refit without each row whose LOO is unreliable"
    )
    checks.add_argument("--kfold", type=int, metavar="N", help="cross-validate in N folds")
    output = output_options(parser)
    map_option(output)
    output.add_argument("--save", metavar="FILE.nc", help="save the fit as netCDF")
    help_option(parser)


def _run(options: argparse.Namespace) -> int:
    table = table_of(options)
    outputs = outputs_of(options, "save", "json", "checkpoint")
    from bayesgmm import store
    from bayesgmm.bayes.program import load_model
    from bayesgmm.comparison import both, record
    from bayesgmm.comparison.summary import Summary
    from bayesgmm.data.randomness import generator
    from bayesgmm.data.table import check_counts
    from bayesgmm.ml.problem import Problem
    from bayesgmm.ml.restarts import Settings

    rng, seed = generator(options.seed)
    program, problem = load_model(options.model), Problem.of(table)
    settings, priors = settings_of(options), priors_of(options.prior)
    check_counts(table, "for which a posterior is not defined")
    asked = {"n_components": options.k, "priors": priors or None, **told(options)}
    with ProgressLine(options.quiet) as progress:
        fitted = both.fit_both(
            problem,
            program,
            options.k,
            priors=priors,
            settings=settings,
            ml_settings=Settings(n_init=options.starts),
            seed=rng,
            provenance=both.provenance_of(problem, program, seed, asked),
            progress=progress,
            checkpoint=options.checkpoint,
        )
        fitted, folded = _refitted(options, fitted, settings, rng, progress)
    summary = Summary.of(fitted, with_map=options.map)
    show(summary)
    if folded:
        show(f"\n{folded}")
    if outputs["save"]:
        store.save(record.to_tree(fitted), outputs["save"])
    if outputs["json"]:
        more = {"kfold": folded.to_dict()} if folded else {}
        write_json(outputs["json"], summary.to_dict() | more)
    say_written(outputs)
    return INTERRUPTED if fitted.posterior.partial else 0


def _refitted(
    options: argparse.Namespace, fitted: Any, settings: Any, rng: Any, progress: ProgressLine
) -> tuple[Any, Any]:
    """The fit with what `--reloo` asks for, and what `--kfold` does."""
    from bayesgmm.bayes.kfold import kfold, reloo
    from bayesgmm.comparison.both import ready_again
    from bayesgmm.comparison.verdicts import MOST_REFITS

    folded, whole = None, fitted.posterior
    own = (whole, ready_again(fitted), fitted.ml, settings, rng)
    if options.kfold is not None:
        folded = kfold(*own, options.kfold, progress)
    if options.reloo:
        found = reloo(*own, MOST_REFITS, progress)
        fitted = replace(fitted, posterior=replace(whole, known_loo=found))
    return fitted, folded
