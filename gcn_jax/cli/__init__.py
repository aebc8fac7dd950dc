"""The command line: one file a verb, with its flags, messages and exit codes."""
