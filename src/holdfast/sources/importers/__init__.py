"""One module per public data set: its file in, declared tables out."""
