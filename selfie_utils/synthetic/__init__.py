"""Selfies of people who do not exist, and a simulated audience whose rules are known."""
