"""Names of torch that real packages use, each with a program that runs it on both sides.

`names.tsv` holds a name, how many packages use it, how often they do, and its program.
`PYTHONPATH=tests python -m torch_names` runs them all and writes docs/torch_names.md.
"""
