"""Dropout and dropout networks on CPUs, at the price of a copy."""
