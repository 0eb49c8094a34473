"""Triplets for training a face swap: source, target, and the picture that the swap should be.

Method of FSTriplets (Yu et al. 2022, arXiv 2204.08339), whose data and tool were never released,
and of the works that put a real picture at the end (ReliableSwap 2023, DreamID 2025).
"""
