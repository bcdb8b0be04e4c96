"""The local stack: Kafka, PostgreSQL, a MongoDB-wire server, the events API and the docs site, as plain processes.

`local.py` is the way in (`up`, `down`, `status`, `start_api`); each service has a module of its own.
"""
