"""The draw-a-digit page, and the script that builds it."""
