"""Whether the data, the scores and the model are still what they were, and when to retrain."""
