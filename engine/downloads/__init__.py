"""Fetching one file that was asked for: resumed where it stopped, checked, whole or not at all."""
