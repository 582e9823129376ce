"""The verbs, by what they work on. Each module registers its own with ``register(app)``.

Pipelines are imported inside the verbs: they bring heavy libraries, and ``holdfast --help`` must be fast.
"""
