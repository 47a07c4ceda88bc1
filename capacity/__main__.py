"""``python -m capacity`` is the command line."""

from capacity.cli.main import main

if __name__ == "__main__":
    main()
