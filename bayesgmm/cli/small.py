"""`bayesgmm show`, `models` and `datasets`: what there is already."""

import argparse
import textwrap
from typing import Any

from bayesgmm.cli.options import command, help_option, map_option
from bayesgmm.cli.output import show
from bayesgmm.data.choices import model_names
from bayesgmm.data.datasets import dataset_names, describe

NOTES_WIDTH = 64


def add_to(commands: Any) -> None:
    """Make the commands known."""
    parser = command(
        commands,
        "bayesgmm show FILE.nc [--map]",
        _show,
        "print a saved fit",
        "examples:\n  bayesgmm show fit.nc\n",
    )
    parser.add_argument("file", metavar="FILE.nc", help="a fit written by --save")
    map_option(parser.add_argument_group("output"))
    help_option(parser)
    parser = command(
        commands,
        "bayesgmm models [NAME]",
        _models,
        "list the programs, or print one",
        "examples:\n  bayesgmm models\n  bayesgmm models gaussian > mine.py\n",
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="print this program's file")
    help_option(parser)
    parser = command(
        commands,
        "bayesgmm datasets",
        _datasets,
        "list the data sets and their sources",
        "examples:\n  bayesgmm datasets\n",
    )
    help_option(parser)


def _show(options: argparse.Namespace) -> None:
    from bayesgmm import store
    from bayesgmm.comparison import record
    from bayesgmm.comparison.summary import Summary

    tree = store.load(options.file)
    fitted = record.from_tree(tree)
    show(Summary.of(fitted, with_map=options.map))
    told = fitted.provenance
    show(
        f"\nfitted {told['date']}, seed {told['seed']}, data sha256 {told['data_sha256'][:12]}, "
        f"model sha256 {told['model_sha256'][:12] or 'unknown'}"
    )
    show("versions: " + ", ".join(f"{name} {v}" for name, v in told["versions"].items()))
    draws = record.draws_sha256(fitted)[:12]
    show(f"draws sha256 {draws}: the same seed, versions and machine give the same")
    show(f"checksum {tree.attrs['checksum'][:12]}: the file is whole")


def _models(options: argparse.Namespace) -> None:
    from bayesgmm.bayes.program import load_model

    if options.name:
        print(load_model(options.name).text, end="")
        return
    for name in model_names():
        show(f"{name:18} {load_model(name).summary}")
    show("\nbayesgmm models NAME prints a program; --model mine.py runs yours.")


def _datasets(options: argparse.Namespace) -> None:
    for name in dataset_names():
        told = describe(name)
        show(f"{name:13} {told.n_rows:>4} rows x {told.n_columns} {told.title}")
        for text in (told.source, told.notes):
            for line in textwrap.wrap(text, NOTES_WIDTH):
                show(f"{'':14} {line}")
        show("")
    show("bayesgmm fit NAME -k 2 fits one; bayesgmm.load_dataset(NAME) is its table.")
