"""The live web as a source, for a user who has turned it on."""
