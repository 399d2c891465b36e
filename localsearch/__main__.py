"""The program, also as `python -m localsearch`: loads the command line and calls it."""

import gc
import signal


def program() -> int:
    """What a shell calls. Ctrl-C ends the process without a word until the command line is there to tell of it."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where a shell has it ignored
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    gc.disable()  # of what is loaded nothing is garbage; `run` has it looked for again
    from localsearch.cli import command

    return command()


if __name__ == "__main__":
    raise SystemExit(program())
