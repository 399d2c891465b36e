"""`python -m localsearch`: the command line."""

from localsearch.cli import command

if __name__ == "__main__":
    raise SystemExit(command())
