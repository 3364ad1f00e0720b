"""`python -m keras_actmaps.bulk status DIR`: the state of a run."""

import sys

from keras_actmaps.bulk.status import status


def main(arguments: list[str]) -> int:
    """The exit status: 0, or 2 with a line on stderr."""
    if len(arguments) != 2 or arguments[0] != "status":
        print("usage: python -m keras_actmaps.bulk status DIR", file=sys.stderr)
        return 2
    try:
        print(status(arguments[1]))
    except (ValueError, OSError) as error:
        print(f"keras_actmaps.bulk: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
