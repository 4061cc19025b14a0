"""Everything a person touches: the command line, the plain front end and the Textual app."""
