"""What the training loop in utils.py stands on, one room a subject. Imports run downward: trainer and checkpoint →
augmentation, optimizers → data → checks. Nothing here knows utils.py or which model it trains.
"""
