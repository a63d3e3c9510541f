"""Read digits in pictures: `python -m reader photo.jpg`, or `python -m reader --number photo.jpg`."""

import argparse
import sys

from reader import load_net, read_digit, read_number, text_of


def read_as_text(net, path, is_number):
    """Return the digit or number in the picture at `path`, its lowest confidence and any warnings, as text."""
    if is_number:
        digits, warnings = read_number(net, path)
        answer, confidence = text_of(digits), min(digit.probabilities.max() for digit in digits)
    else:
        probabilities, warnings = read_digit(net, path)
        answer, confidence = int(probabilities.argmax()), probabilities.max()
    return "; ".join([f"{answer}, confidence {confidence:.1%}", *(f"warning: {warning}" for warning in warnings)])


def error_message(error, path):
    """Return what an OSError, ValueError or MemoryError says about the file `path`: one line that starts with it."""
    message = str(getattr(error, "strerror", None) or error)
    return message if message.startswith(f"{path} is not") else f"{path}: {message}"


def write(line):
    """Print `line`; end the program if nobody reads it, as after `| head -1`, or if the disk is full."""
    try:
        print(line, flush=True)
    except OSError as error:
        sys.exit(141 if isinstance(error, BrokenPipeError) else f"the answer cannot be written: {error.strerror}")


def main():
    """Print one line per picture; return the number of pictures that could not be read, the exit status."""
    parser = argparse.ArgumentParser(prog="python -m reader", description="Read the handwritten digit in a picture.")
    parser.add_argument("picture", nargs="+", help="picture of one digit, or with --number of one line of digits")
    parser.add_argument("--number", action="store_true", help="read several digits, from left to right")
    options, n_failed = parser.parse_args(), 0
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # not in a notebook
            stream.reconfigure(errors="replace")  # the encoding may lack "°", or characters of a file name
    net = load_net()
    for path in options.picture:
        try:
            answer = read_as_text(net, path, options.number)
        except (OSError, ValueError, MemoryError) as error:
            print(error_message(error, path), file=sys.stderr)
            n_failed += 1
        else:
            write(f"{path}: {answer}")
    return min(n_failed, 255)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
