"""The commands of `cinelake`, a module a subject; each is thin and calls the stage it names.

A command imports its stage when it runs, so that `cinelake --help` does not wait for Spark.
"""
