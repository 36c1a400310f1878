"""The command line: ``arena`` runs a race, and its subcommands read finished runs and measure the instrument."""
