"""The HTTP API: it reads the online store and the bundle that the store names, and nothing else.

Never imported here: MLflow, training, the offline store. See `app.create_app` and `serve.serve`.
"""
