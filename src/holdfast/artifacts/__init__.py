"""What passes between stages and onto disk: schemas, datasets, batches and their manifests."""
