"""The commands of ``deepsearch-tui``, a module for each topic. :mod:`tui.cli` puts them together."""
