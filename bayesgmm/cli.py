"""The command line: the only file that prints.

Exit status 0; 2 on bad input with one clear line on stderr and no traceback; 130 after Ctrl-C, also
where what was done until then is shown.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from bayesgmm import __version__
from bayesgmm.data.datasets import dataset_names, describe
from bayesgmm.data.errors import InputError
from bayesgmm.store import writable

EXAMPLES = """\
examples:
  bayesgmm compare faithful -k 1:6 --report faithful.html   how many clusters, both ways
  bayesgmm fit faithful -k 2 --save fit.nc                  one fit, every parameter both ways
  bayesgmm fit my.csv -k 3 --columns height,weight          your own table
  bayesgmm select iris -k 1:9                               covariance families by BIC
  bayesgmm select iris -k 1:4 --families full --lrt         and tests of k against k + 1
  bayesgmm show fit.nc                                      a saved fit
  bayesgmm models gaussian > mine.py                        a program to copy and change
"""


INTERRUPTED = 130


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see {self.prog} --help.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    try:
        options = _parser().parse_args(arguments)
        with warnings.catch_warnings(), _heard_interrupts():
            warnings.showwarning = _show_warning  # type: ignore[assignment]
            status: int = options.run(options) or 0
        sys.stdout.flush()
    except InputError as error:
        print(f"bayesgmm: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("\nbayesgmm: interrupted; nothing was written.", file=sys.stderr)
        _leave(INTERRUPTED)
    return status


@contextmanager
def _heard_interrupts() -> Iterator[None]:
    """Ctrl-C that a library's callback swallowed is heard at the next sign of progress."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def hear(*_: object) -> NoReturn:
        _interrupted.set()
        raise KeyboardInterrupt

    _interrupted.clear()
    before = signal.signal(signal.SIGINT, hear)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


_interrupted = threading.Event()


def _leave(status: int) -> NoReturn:
    """End at once: a compiler that is under way in the background is not waited for."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _show_warning(message: Warning | str, *_: object) -> None:
    print(f"bayesgmm: warning: {message}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="bayesgmm",
        description="Mixtures fitted by maximum likelihood and by Bayes, side by side.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"bayesgmm {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_fit(commands)
    _add_compare(commands)
    _add_select(commands)
    _add_small(commands)
    return parser


def _add_fit(commands: Any) -> None:
    command = _command(commands, "fit", _fit, "fit k components both ways; print every parameter")
    _data_options(command)
    command.add_argument("-k", type=int, required=True, metavar="K", help="number of components")
    _bayes_options(command)
    command.add_argument("--save", metavar="FILE.nc", help="save the fit as netCDF")
    _map_option(command)
    command.add_argument(
        "--reloo", action="store_true", help="refit without each row whose LOO is unreliable"
    )
    command.add_argument("--kfold", type=int, metavar="N", help="cross-validate in N folds")
    command.add_argument(
        "--checkpoint",
        metavar="FILE",
        help="keep the chains there; the same command goes on after it was killed",
    )


def _add_compare(commands: Any) -> None:
    command = _command(commands, "compare", _compare, "compare numbers of components both ways")
    _data_options(command)
    _range_option(command, "1:6")
    _bayes_options(command)
    _criterion_option(command)
    command.add_argument(
        "--models",
        nargs="+",
        metavar="NAME|FILE.py",
        help="compare these programs instead, with -k K, or one k for each: -k 3,2",
    )
    command.add_argument("--report", metavar="FILE.html", help="write a self-contained report")
    command.add_argument(
        "--calibrate",
        type=int,
        metavar="N",
        help="refit N data sets simulated from the chosen fit: do intervals cover, is k found",
    )


def _add_select(commands: Any) -> None:
    command = _command(
        commands, "select", _select, "rank covariance families and k by maximum likelihood"
    )
    _data_options(command)
    _range_option(command, "1:9")
    command.add_argument(
        "--families", default="all", metavar="NAMES", help="such as full,tied; default: all"
    )
    _criterion_option(command)
    _starts_option(command)
    command.add_argument(
        "--lrt", action="store_true", help="test k against k + 1 in the best family by bootstrap"
    )
    command.add_argument(
        "--resamples", type=int, default=199, metavar="N", help="data sets for each test (199)"
    )


def _add_small(commands: Any) -> None:
    show = _command(commands, "show", _show, "print a saved fit")
    show.add_argument("file", metavar="FILE.nc", help="a fit written by --save")
    _map_option(show)
    models = _command(commands, "models", _models, "list the programs, or print one")
    models.add_argument("name", nargs="?", metavar="NAME", help="print this program's file")
    _command(commands, "datasets", _datasets, "list the data sets and their sources")


def _map_option(command: argparse.ArgumentParser) -> None:
    command.add_argument("--map", action="store_true", help="the posterior's mode beside its mean")


def _command(commands: Any, name: str, run: Any, about: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=about, description=about)
    command.set_defaults(run=run)
    return command


def _data_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("data", metavar="DATA", help="a CSV or Parquet file, or a data set's name")
    command.add_argument("--columns", metavar="A,B", help="columns to use (all but the weights)")
    command.add_argument("--weights", metavar="COLUMN", help="column of counts that weigh the rows")
    command.add_argument(
        "--seed", type=int, default=0, metavar="N", help="the same seed, the same numbers (0)"
    )
    command.add_argument("--json", metavar="FILE", help="write the numbers shown as JSON")
    command.add_argument("--quiet", action="store_true", help="no progress line")


def _range_option(command: argparse.ArgumentParser, default: str) -> None:
    command.add_argument(
        "-k", default=default, metavar="K1:K2", help=f"numbers of components, such as {default}"
    )


def _criterion_option(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--criterion", default="bic", metavar="NAME", help="bic (default), aic, aicc or icl"
    )


def _starts_option(command: argparse.ArgumentParser) -> None:
    command.add_argument("--starts", type=int, default=60, metavar="N", help="EM starts (60)")


def _bayes_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--model", default="gaussian", metavar="NAME|FILE.py", help="program; see bayesgmm models"
    )
    command.add_argument(
        "--prior",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a value for a keyword of the program, such as weights=2; may be repeated",
    )
    command.add_argument(
        "--inference", default="nuts", metavar="NAME", help="nuts (default), vi or laplace"
    )
    command.add_argument(
        "--guide",
        default="full_rank",
        metavar="NAME",
        help="of vi: full_rank, low_rank or mean_field",
    )
    command.add_argument("--chains", type=int, default=4, metavar="N", help="chains (4)")
    command.add_argument(
        "--draws", type=int, default=1000, metavar="N", help="draws a chain (1000), at least"
    )
    command.add_argument("--max-draws", type=int, metavar="N", help="draws a chain at most (4 x)")
    command.add_argument("--warmup", type=int, metavar="N", help="warm-up steps (250, repeated)")
    _starts_option(command)


def _fit(options: argparse.Namespace) -> int:
    table = _table(options)
    outputs = _outputs(options, "json", "save")
    from bayesgmm import store
    from bayesgmm.bayes.program import load_model
    from bayesgmm.comparison import both, record
    from bayesgmm.comparison.summary import Summary
    from bayesgmm.data.randomness import generator
    from bayesgmm.ml.problem import Problem
    from bayesgmm.ml.restarts import Settings

    rng, seed = generator(options.seed)
    program, problem = load_model(options.model), Problem.of(table)
    settings, priors = _settings(options), _priors(options.prior)
    _refuse_other_weights(table)
    told = {"n_components": options.k, "priors": priors or None, **_told(options)}
    with _Progress(options.quiet) as progress:
        fitted = both.fit_both(
            problem,
            program,
            options.k,
            priors=priors,
            settings=settings,
            ml_settings=Settings(n_init=options.starts),
            seed=rng,
            provenance=both.provenance_of(problem, program, seed, told),
            progress=progress,
            checkpoint=options.checkpoint,
        )
        fitted, folded = _refitted(options, fitted, settings, rng, progress)
    summary = Summary.of(fitted, with_map=options.map)
    print(summary)
    if folded:
        print(f"\n{folded}")
    if outputs["save"]:
        store.save(record.to_tree(fitted), outputs["save"])
    if outputs["json"]:
        more = {"kfold": folded.to_dict()} if folded else {}
        _write_json(outputs["json"], summary.to_dict() | more)
    _say_written(outputs)
    return INTERRUPTED if fitted.posterior.partial else 0


def _refitted(
    options: argparse.Namespace, fitted: Any, settings: Any, rng: Any, progress: Any
) -> tuple[Any, Any]:
    """The fit with what `--reloo` asks for, and what `--kfold` does."""
    from dataclasses import replace

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


def _compare(options: argparse.Namespace) -> int:
    if options.models:
        return _compare_programs(options)
    table, ks = _table(options), _range(options.k)
    outputs = _outputs(options, "json", "report")
    from bayesgmm.bayes.program import load_model
    from bayesgmm.comparison import compare
    from bayesgmm.data.randomness import generator

    rng, seed = generator(options.seed)
    program, settings = load_model(options.model), _settings(options)
    priors = _priors(options.prior)
    told = {"n_components": ks, "priors": priors or None, "criterion": options.criterion}
    with _Progress(options.quiet) as progress:
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
            told | _told(options),
            progress,
        )
        if options.calibrate is not None:
            comparison = comparison.calibrated(options.calibrate, rng, progress)
    print(comparison)
    print(f"\n{comparison.summary()}")
    if comparison.calibration:
        print(f"\n{comparison.calibration}")
    if outputs["report"]:
        comparison.report(outputs["report"])
    if outputs["json"]:
        _write_json(outputs["json"], comparison.to_dict())
    _say_written(outputs)
    return INTERRUPTED if comparison.interrupted else 0


def _compare_programs(options: argparse.Namespace) -> int:
    for name in ("report", "calibrate"):
        if getattr(options, name) is not None:
            raise InputError(f"--{name} is of one program; leave out --models, or --{name}.")
    table, outputs = _table(options), _outputs(options, "json")
    from bayesgmm.comparison import programs
    from bayesgmm.comparison.compare import check_alone
    from bayesgmm.data.randomness import generator

    check_alone(options.model, options.criterion)
    rng, seed = generator(options.seed)
    several = programs.paired(options.models, _each(options.k))
    priors, settings = _priors(options.prior), _settings(options)
    told = {"n_components": [k for _, k in several], "priors": priors or None, **_told(options)}
    with _Progress(options.quiet) as progress:
        own = (priors, settings, options.starts, rng, seed, told, progress)
        comparison = programs.run(table, several, *own)
    print(comparison)
    if outputs["json"]:
        _write_json(outputs["json"], comparison.to_dict())
    _say_written(outputs)
    return INTERRUPTED if comparison.interrupted else 0


def _select(options: argparse.Namespace) -> None:
    table, ks = _table(options), _range(options.k)
    outputs = _outputs(options, "json")
    from bayesgmm.data.randomness import generator
    from bayesgmm.gaussian.families import families_for, family
    from bayesgmm.ml.likelihood_ratio import in_sequence
    from bayesgmm.ml.selection import scan

    chosen = options.families.split(",")
    members = families_for(len(table.columns)) if chosen == ["all"] else map(family, chosen)
    names = [member.name for member in members]
    rng, _ = generator(options.seed)
    with _Progress(options.quiet) as progress:
        progress("covariance families", 0, 1)
        selection = scan(table, ks, names, rng, options.criterion, options.starts)
        ratios = None
        if options.lrt:
            best = selection.best_.family.name
            resamples = options.resamples
            ratios = in_sequence(table, ks, best, rng, resamples, progress=progress)
    print(selection)
    if ratios:
        print(f"\n{ratios}")
    if outputs["json"]:
        tests = {"likelihood_ratios": ratios.to_dict()} if ratios else {}
        _write_json(outputs["json"], selection.to_dict() | tests)
    _say_written(outputs)


def _show(options: argparse.Namespace) -> None:
    from bayesgmm import store
    from bayesgmm.comparison import record
    from bayesgmm.comparison.summary import Summary

    tree = store.load(options.file)
    fitted = record.from_tree(tree)
    print(Summary.of(fitted, with_map=options.map))
    told = fitted.provenance
    print(
        f"\nfitted {told['date']}, seed {told['seed']}, data sha256 {told['data_sha256'][:12]}, "
        f"model sha256 {told['model_sha256'][:12] or 'unknown'}"
    )
    print("versions: " + ", ".join(f"{name} {v}" for name, v in told["versions"].items()))
    draws = record.draws_sha256(fitted)[:12]
    print(f"draws sha256 {draws}: the same seed, versions and machine give the same")
    print(f"checksum {tree.attrs['checksum'][:12]}: the file is whole")


def _models(options: argparse.Namespace) -> None:
    from bayesgmm.bayes.program import load_model, model_names

    if options.name:
        print(load_model(options.name).text, end="")
        return
    for name in model_names():
        print(f"{name:18} {load_model(name).summary}")
    print("\nbayesgmm models NAME prints a program; --model mine.py runs yours.")


def _datasets(options: argparse.Namespace) -> None:
    for name in dataset_names():
        told = describe(name)
        print(f"{name:13} {told.n_rows:>4} rows x {told.n_columns} {told.title}")
        for line in [*_wrapped(told.source), *_wrapped(told.notes)]:
            print(f"{'':14} {line}")


def _wrapped(text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(text, 64)


def _table(options: argparse.Namespace) -> Any:
    from bayesgmm.data.table import read_table

    columns = options.columns.split(",") if options.columns else None
    return read_table(options.data, columns, options.weights)


def _range(text: str) -> list[int]:
    """The numbers in "1:6", "3" or "1,2,5"."""
    from bayesgmm.data.ranges import component_range

    try:
        if ":" in text:
            low, high = text.split(":")
            return component_range(range(int(low), int(high) + 1))
        return component_range([int(part) for part in text.split(",")])
    except InputError:
        raise
    except ValueError:
        raise InputError(f"-k {text!r} is not a range; write 1:6, 3 or 1,2,5.") from None


def _each(text: str) -> int | list[int]:
    """The number in "3", or the numbers in "3,2", in their order."""
    try:
        ks = [int(part) for part in text.split(",")]
    except ValueError:
        raise InputError(
            f"-k {text!r} is not for --models; write -k 3, or one k for each program: -k 3,2."
        ) from None
    return ks[0] if len(ks) == 1 else ks


def _priors(given: Sequence[str]) -> dict[str, object]:
    priors: dict[str, object] = {}
    for text in given:
        name, equals, value = text.partition("=")
        try:
            numbers = [float(part) for part in value.split(",")]
        except ValueError:
            numbers = []
        if not equals or not numbers:
            raise InputError(f"--prior {text!r} is not NAME=VALUE; write such as weights=2.")
        priors[name] = numbers[0] if len(numbers) == 1 else numbers
    return priors


def _settings(options: argparse.Namespace) -> Any:
    from bayesgmm.bayes.settings import Settings

    counts = (options.chains, options.warmup, options.draws, options.max_draws)
    return Settings(options.inference, *counts, options.guide)


def _told(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "inference": options.inference,
        "num_chains": options.chains,
        "num_warmup": options.warmup,
        "num_draws": options.draws,
        "max_draws": options.max_draws,
        "guide": options.guide,
        "n_init": options.starts,
    }


def _refuse_other_weights(table: Any) -> None:
    if not table.frequency:
        raise InputError(
            "--weights holds weights that are not counts, for which a posterior is not defined; "
            "give counts."
        )


def _outputs(options: argparse.Namespace, *names: str) -> dict[str, Path | None]:
    """Where to write, checked before any long work."""
    given = {name: getattr(options, name) for name in names}
    return {name: writable(path) if path else None for name, path in given.items()}


def _write_json(path: Path, content: dict[str, Any]) -> None:
    from bayesgmm.store import write_atomically

    write_atomically(path, (json.dumps(content, indent=2) + "\n").encode())


def _say_written(outputs: dict[str, Path | None]) -> None:
    written = [str(path) for path in outputs.values() if path]
    if written:
        print(f"\nwritten: {', '.join(written)}")


def progress_line(seconds: float, what: str, done: int, total: int, note: str) -> str:
    """What is being done, since when, and how far it has come."""
    part = f" {done:,} of {total:,}" if total > 1 else ""
    return f"{seconds:5.1f} s  {what}{part}{', ' if note else ''}{note}"


class _Progress:
    """One line on the terminal that says what is being done; silent when it is not a terminal."""

    def __init__(self, quiet: bool) -> None:
        self.shown = not quiet and sys.stderr.isatty()
        self.began = time.monotonic()
        self.begun: dict[str, tuple[float, int]] = {}

    def __call__(self, what: str, done: int, total: int, note: str = "") -> None:
        if _interrupted.is_set():
            raise KeyboardInterrupt
        if self.shown:
            line = progress_line(time.monotonic() - self.began, what, done, total, note)
            left = self._left(what, done, total)
            width = shutil.get_terminal_size().columns - 1
            sys.stderr.write(f"\r\x1b[K{(line + left)[:width]}")
            sys.stderr.flush()

    def _left(self, what: str, done: int, total: int) -> str:
        """How long it still takes at this pace."""
        now = time.monotonic()
        began, first = self.begun.setdefault(what, (now, done))
        if done < first or done in (first, total):  # begun anew, or nothing to go by
            self.begun[what] = (now, done)
            return ""
        return f", {(now - began) / (done - first) * (total - done):.0f} s left"

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self.shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
