"""What the training loop in utils.py is built from, one module per topic."""
