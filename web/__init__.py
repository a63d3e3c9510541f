"""The draw-a-digit page, and what builds it."""
