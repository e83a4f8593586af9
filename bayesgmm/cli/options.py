"""Options that several commands take, in the groups that their help shows."""

import argparse
from typing import Any

from bayesgmm.data.choices import CRITERIA, GUIDES, INFERENCES


def command(commands: Any, usage: str, run: Any, about: str, examples: str) -> Any:
    """The parser of one command; its name is the second word of how it is used."""
    name = usage.split()[1]
    description = f"{about[:1].upper()}{about[1:]}."
    parser = commands.add_parser(
        name, help=about, description=description, epilog=examples, usage=usage
    )
    parser.set_defaults(run=run)
    return parser


def data_options(parser: argparse.ArgumentParser, default_k: str | None = None) -> None:
    """The data, and how many components; a range of them where there is a default."""
    group = parser.add_argument_group("data")
    group.add_argument(
        "data", metavar="DATA", help="a CSV or Parquet file, or a name of bayesgmm datasets"
    )
    if default_k is None:
        group.add_argument("-k", type=int, required=True, metavar="K", help="number of components")
    else:
        group.add_argument(
            "-k",
            default=default_k,
            metavar="K1:K2",
            help=f"numbers of components: 1:6, 3 or 1,2,5 ({default_k})",
        )
    group.add_argument("--columns", metavar="A,B", help="columns to use (all but the weights)")
    group.add_argument("--weights", metavar="COLUMN", help="column of counts that weigh the rows")


def model_options(group: Any) -> None:
    """The program and its priors."""
    group.add_argument(
        "--model",
        default="gaussian",
        metavar="NAME|FILE.py",
        help="name of bayesgmm models, or a file (gaussian)",
    )
    group.add_argument(
        "--prior",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="such as weights=2; may be repeated",
    )


def criterion_option(group: Any) -> None:
    """What chooses."""
    group.add_argument(
        "--criterion", default="bic", choices=CRITERIA, metavar="NAME", help=_one_of(CRITERIA)
    )


def sampler_options(parser: argparse.ArgumentParser) -> Any:
    """How the posterior is found; returns the group, for more of the same kind."""
    group = parser.add_argument_group("sampler")
    group.add_argument(
        "--inference", default="nuts", choices=INFERENCES, metavar="NAME", help=_one_of(INFERENCES)
    )
    group.add_argument(
        "--guide",
        default="full_rank",
        choices=GUIDES,
        metavar="NAME",
        help=f"with --inference vi: {_one_of(GUIDES)}",
    )
    group.add_argument("--chains", type=int, default=4, metavar="N", help="chains (4)")
    group.add_argument(
        "--draws", type=int, default=1000, metavar="N", help="draws of each chain, at least (1000)"
    )
    group.add_argument(
        "--max-draws", type=int, metavar="N", help="draws of each chain, at most (4 x --draws)"
    )
    group.add_argument("--warmup", type=int, metavar="N", help="warm-up steps (250, repeated)")
    starts_options(group)
    return group


def starts_options(group: Any) -> None:
    """Where EM starts, and what makes it start there again."""
    group.add_argument("--starts", type=int, default=60, metavar="N", help="EM starts (60)")
    group.add_argument(
        "--seed", type=int, default=0, metavar="N", help="the same seed, the same numbers (0)"
    )


def output_options(parser: argparse.ArgumentParser) -> Any:
    """What is written where; returns the group, for more of the same kind."""
    group = parser.add_argument_group("output")
    group.add_argument("--json", metavar="FILE.json", help="write the numbers shown as JSON")
    group.add_argument("--quiet", action="store_true", help="no progress line")
    return group


def map_option(group: Any) -> None:
    """Another column of the table."""
    group.add_argument("--map", action="store_true", help="the posterior's mode beside its mean")


def help_option(parser: argparse.ArgumentParser) -> Any:
    """The last group of a help."""
    group = parser.add_argument_group("other")
    group.add_argument("-h", "--help", action="help", help="show this and end")
    return group


def _one_of(names: tuple[str, ...]) -> str:
    return f"{names[0]} (default), {', '.join(names[1:-1])} or {names[-1]}".replace(",  or", " or")
