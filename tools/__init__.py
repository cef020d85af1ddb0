"""One command per stage of the pipeline, each a thin main."""
