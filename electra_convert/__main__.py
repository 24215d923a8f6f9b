"""The electra-convert command, and `python -m electra_convert`."""

from electra_convert.cli import main

if __name__ == "__main__":
    main()
