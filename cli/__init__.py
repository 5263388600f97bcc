"""The `perdiem` command: one file per group of commands, wired in main.py."""
