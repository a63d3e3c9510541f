"""Read handwritten digits in photographs: one digit, or a number of several."""

from model import load_net
from reader.digit import read_digit
from reader.digit_string import read_number, text_of

__all__ = ["load_net", "read_digit", "read_number", "text_of"]
