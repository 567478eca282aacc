"""Scanners: bytes in, a verdict out."""
