"""Accuracy and speed as figures, on simulated companies and on real data.

``python -m benchmarks`` runs all of them; ``python -m benchmarks companies --companies 40`` one.
"""
