"""Where the command line begins. `log verify` runs here on the standard library, msgspec and PyNaCl
alone; everything else needs the `node` extra, whose absence is said in one sentence.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from p2pmpc import __version__
from p2pmpc.cli.output import Reply, failed, show_reply
from p2pmpc.errors import Aborted

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code of one command; it has printed all that it has to say."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = _dispatch(words)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of a pipe has left: nothing more can be said
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:  # while libraries are still being read
        return show_reply(failed("p2pmpc", Aborted("stopped by you")), "--json" in words)
    return code


def _dispatch(words: list[str]) -> int:
    if words[:2] == ["log", "verify"] and not {"-h", "--help"} & set(words):
        from p2pmpc.verify import main as verify

        # its errors are all foreseen, so there is no traceback that --debug could keep
        return verify([word for word in words[2:] if word != "--debug"])
    if [word for word in words if word != "--json"] == ["--version"]:
        return _version("--json" in words)
    try:
        from p2pmpc.cli.commands import run
    except ImportError as fault:
        return show_reply(failed("p2pmpc", _not_installed(fault)), "--json" in words)
    return run(words)


def _version(as_json: bool) -> int:
    reply = Reply("version", data={"version": __version__}, lines=(f"p2pmpc {__version__}",))
    return show_reply(reply, as_json)


def _not_installed(fault: ImportError) -> Exception:
    from p2pmpc.errors import LocalError

    return LocalError(
        f"this command needs the library {fault.name!r}, which is not installed",
        next="Install the node's part: pip install 'p2pmpc[node]'. `log verify` works without it.",
    )
