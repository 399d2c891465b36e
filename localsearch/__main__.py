"""`python -m localsearch`: the command line."""

from localsearch.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
