"""Read handwritten digits in photographs: one digit, or a number of several."""

from model import load_net
from reader.digit import predict, warnings_of
from reader.digit_string import read_number, text_of, warnings_of_number

__all__ = ["load_net", "predict", "read_number", "text_of", "warnings_of", "warnings_of_number"]
