"""Commands for working on this repository; `make` lists them."""
