"""What the training loop in utils.py stands on, one file for each subject.

Imports run downward: trainer → augmentation, optimizers, cpu, cuda. Checkpoint and identity stand beside it, and checks
below all. Nothing here knows utils.py or which model it trains.
"""
