"""The command line: thin Click commands over `peftsearch.api`. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import atexit
import gc
import io
import sys
import traceback
from typing import Any

import click

from peftsearch.cli import (
    confirm,
    dashboard,
    export,
    init,
    methods,
    optimize,
    predict,
    recommend,
    report,
    results,
    studies,
    train,
    worker,
)
from peftsearch.cli.shared.output import complain, debug
from peftsearch.cli.shared.volume import is_verbose, volume_options, with_volume
from peftsearch.core.errors import StorageLost, UserError, shown
from peftsearch.core.escaping import visible
from peftsearch.core.files.disk import is_utf8_locale, refusal
from peftsearch.core.secrets import hide_secrets
from peftsearch.data.base import whole_characters

ARGUMENTS = "peftsearch.arguments"
"""Where a context keeps the command line from the command's name on."""

COLLECT_EVERY = 100_000
"""The garbage collector looks for circles after so many new objects, not after 700: commands make many and soon end.

With 1,000 trials, looks that found next to nothing took 0.34 of the 1.81 seconds of `front`, and now take 0.11."""


class UsageProblem(click.ClickException):
    """A problem that the user can solve: one line and exit code 2."""

    exit_code = 2


class Commands(click.Group):
    """A group that shows each error that is not a bug as one line, and lists its commands in order of use."""

    def main(self, *args: Any, **options: Any) -> Any:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # a terminal in Latin-1 lacks the signs of our tables
        gc.set_threshold(COLLECT_EVERY)
        # An interpreter that ends looks for circles too, among all that it has loaded and read: with 1,000 trials, 0.5
        # of the 2.1 seconds of `front`. What is frozen is left out.
        atexit.unregister(gc.freeze)
        atexit.register(gc.freeze)
        return super().main(*args, **options)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        odd = next((arg for arg in args if arg != whole_characters(arg)), None)
        if odd is not None:
            mend = "rename what it names, or write it as UTF-8"
            if not is_utf8_locale():
                mend = "and this locale's encoding is not either; set LC_ALL=C.UTF-8"
            raise UsageProblem(f"the argument {shown(odd)} is not UTF-8; {mend}")
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except UserError as error:
            _in_full(error)
            raise UsageProblem(_harmless(str(error))) from None
        except click.UsageError as error:
            raise self._explained(error, ctx) from None
        except StorageLost as lost:
            _in_full(lost)
            raise click.ClickException(_harmless(str(lost))) from None
        except click.ClickException as error:
            vars(error).update(message=_harmless(error.message))  # keeps its kind, which may print the usage too
            raise
        except (click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            told = refusal(error)
            if told is None:
                raise
            _in_full(error)
            kind = UsageProblem if isinstance(told, UserError) else click.ClickException
            raise kind(_harmless(str(told))) from None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        ctx.meta[ARGUMENTS] = args
        return super().resolve_command(ctx, args)

    def _explained(self, error: click.UsageError, ctx: click.Context) -> click.UsageError:
        """The same error, or one that says what was probably meant."""
        from peftsearch.cli.shared.mistakes import Refused, mended

        context = error.ctx or ctx
        arguments = tuple(ctx.meta.get(ARGUMENTS, ()))
        written = arguments if context is ctx else arguments[1:]
        told = mended(Refused(error, context, written, self.commands))
        vars(error).update(message=_harmless(error.message))  # keeps its kind
        return click.UsageError(_harmless(told), context) if told else error

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


def _in_full(error: BaseException) -> None:
    """With --verbose, print where an error came from, above the line that every user sees."""
    if is_verbose():
        complain(_harmless("".join(traceback.format_exception(error)).rstrip()))


def _harmless(message: str) -> str:
    """A message as it may be printed: what it quotes may come from anyone."""
    return visible(hide_secrets(message))


COMMANDS = {
    "init": init.init,
    "optimize": optimize.optimize,
    "worker": worker.worker,
    "status": results.status,
    "trials": results.trials,
    "trial": results.trial,
    "front": results.front,
    "confirm": confirm.confirm,
    "recommend": recommend.recommend,
    "export": export.export,
    "train": train.train,
    "predict": predict.predict,
    "report": report.report,
    "dashboard": dashboard.dashboard,
    "studies": studies.studies,
    "methods": methods.methods,
    "params": studies.params,
    "check": studies.check,
}
for _command in COMMANDS.values():
    with_volume(_command, debug)


@click.group(
    cls=Commands, commands=COMMANDS, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="peftsearch", prog_name="peftsearch")
def main() -> None:
    """Compare ways to fine-tune a text classifier, and choose on a front of quality, parameters and time.

    \b
    Start with:
      peftsearch optimize --study quickstart --trials 12
      peftsearch front --study quickstart
    \b
    With labelled texts of your own:
      peftsearch optimize --data reviews.csv --time-limit 15m

    An option takes precedence over an environment variable, and both take precedence over the study file. The variables
    are PEFTSEARCH_STORAGE, which is the default of --storage, PEFTSEARCH_RUNS, the folder in which results are kept in
    place of ./runs, PEFTSEARCH_CACHE, the folder in which texts are prepared once for all studies in place of
    ~/.cache/peftsearch, and PEFTSEARCH_ARTIFACTS, the default of --artifacts. NO_COLOR takes the colours out of tables,
    and FORCE_COLOR gives a pipe colours too. The options -v, -q and --no-color may stand before or after a command's
    name.

    \b
    To let the shell complete commands, options and names of studies, add this line to ~/.bashrc:
      eval "$(_PEFTSEARCH_COMPLETE=bash_source peftsearch)"
    In zsh, write zsh_source; in fish: _PEFTSEARCH_COMPLETE=fish_source peftsearch | source
    """


main.params += volume_options()
