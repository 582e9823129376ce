"""The command line: parse, call a pipeline, render. No logic of its own."""
