"""Workflows: what a graph is, what it may say, and its versions."""
