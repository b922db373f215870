"""One file a verb of the command line; everything heavy is imported inside the functions, so that --help is quick."""
