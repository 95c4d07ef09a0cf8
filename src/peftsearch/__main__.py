"""`python -m peftsearch`."""

from peftsearch.cli import main

if __name__ == "__main__":
    main(prog_name="peftsearch")
