"""What the training loop in utils.py is built from, one module per topic."""

# The goal: more than this fraction of the test images classified correctly, within this many epochs.
TARGET_ACCURACY, TARGET_EPOCH = 0.994, 10
