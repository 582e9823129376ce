"""The model card: what a version is, was trained on, is good for, and is not.

`content` says it once, as sections of a small document; `markdown` and `html` write that out, and `html` adds the plots.
"""
