"""The model card: what a version is, was trained on, is good for, and is not.

`content` says it once, as sections of a small document; `markdown` and `html` write that out, `html` with the plots.
"""

import logging

# set before matplotlib is imported: where it keeps its list of fonts is nobody's concern
logging.getLogger("matplotlib").setLevel(logging.ERROR)
