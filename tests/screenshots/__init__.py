"""Pictures of every page and email (`make screenshots`), from a site that this starts and fills itself."""
