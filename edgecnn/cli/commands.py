"""All commands on one page, and the help that is made of their docstrings."""

from __future__ import annotations

import argparse
import dataclasses
import inspect as introspection
from collections.abc import Callable

from edgecnn.cli.bench import bench, bench_options
from edgecnn.cli.bundle import bundle, bundle_options
from edgecnn.cli.compare import compare, compare_options
from edgecnn.cli.demo import demo, demo_options
from edgecnn.cli.doctor import doctor, doctor_options
from edgecnn.cli.evaluate import evaluate, evaluate_options
from edgecnn.cli.explain import explain, explain_options
from edgecnn.cli.export import export, export_options
from edgecnn.cli.inspect import inspect, inspect_options
from edgecnn.cli.outcome import Outcome
from edgecnn.cli.parser import WHERE, Parser
from edgecnn.cli.predict import predict, predict_options
from edgecnn.cli.report import report, report_options
from edgecnn.cli.train import train, train_options
from edgecnn.cli.tune import tune, tune_options
from edgecnn.cli.verify import verify, verify_options
from edgecnn.cli.zoo import zoo, zoo_options
from edgecnn.core.errors import unknown


@dataclasses.dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        run: Does it. The docstring is the help; its last paragraph is one example to run.
        options: Adds the command's arguments to a parser.
        usage: What must be given, in one line.
    """

    run: Callable[[argparse.Namespace], Outcome]
    options: Callable[[Parser], None]
    usage: str

    @property
    def summary(self) -> str:
        """The first line of the help."""
        return self._help.splitlines()[0].rstrip(".")

    @property
    def text(self) -> str:
        """The help without the example."""
        return self._help.partition("\n\nExample: ")[0]

    @property
    def example(self) -> str:
        """A line to type."""
        return self._help.partition("\n\nExample: ")[2].strip()

    @property
    def _help(self) -> str:
        return introspection.getdoc(self.run) or ""


COMMANDS: dict[str, Command] = {
    "demo": Command(demo, demo_options, "[--out DIR]"),
    "train": Command(train, train_options, "DATA --out CKPT [options]"),
    "evaluate": Command(evaluate, evaluate_options, "MODEL --data DATA [options]"),
    "export": Command(export, export_options, "CKPT --out DIR [options]"),
    "verify": Command(verify, verify_options, "FILE... [--against CKPT] --data DATA [options]"),
    "predict": Command(predict, predict_options, "FILE IMAGE... [options]"),
    "bench": Command(bench, bench_options, "FILE... [options]"),
    "tune": Command(tune, tune_options, "CKPT... --target TARGET --out DIR [options]"),
    "doctor": Command(doctor, doctor_options, "[--target T]... [FILE...]"),
    "bundle": Command(bundle, bundle_options, "FILE --target DEVICE --out DIR [options]"),
    "report": Command(report, report_options, "PATH... --out report.html [options]"),
    "compare": Command(compare, compare_options, "BASELINE NEW [--gate METRIC:LIMIT]..."),
    "inspect": Command(inspect, inspect_options, "MODEL|FILE [options]"),
    "explain": Command(explain, explain_options, "CKPT --kind layers [options]"),
    "zoo": Command(zoo, zoo_options, "[list | show NAME | pull NAME --out CKPT] [options]"),
}


def build_parser(name: str) -> Parser:
    """Return the parser of one command.

    Raises:
        InputError: no such command; the nearest is offered.
    """
    if name not in COMMANDS:
        raise unknown("command", name, COMMANDS, where=WHERE)
    command = COMMANDS[name]
    parser = Parser(
        prog=f"edgecnn {name}",
        usage=f"edgecnn {name} {command.usage}",
        description=command.text,
        epilog=f"example:\n  {command.example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.options(parser)
    common = parser.add_argument_group("everywhere")
    common.add_argument("--json", action="store_true", help="print one JSON object, nothing else")
    common.add_argument("--quiet", action="store_true", help="no progress and no notes")
    common.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def overview() -> str:
    """Return the text of ``edgecnn --help``."""
    rows = "\n".join(f"  {name:<9} {command.summary}" for name, command in COMMANDS.items())
    return f"""\
usage: edgecnn COMMAND ... [--json] [--quiet] [--debug]

From a folder of photos to a small, fast, verified image model on a device.

commands:
{rows}

`edgecnn COMMAND --help` shows a command's options and an example; `edgecnn --version`
the version. Exit codes: 0 done, 1 a check did not hold, 2 unusable input, 3 interrupted.

example:
  edgecnn demo
"""
