"""Contracts, the silver layer, its publication to PostgreSQL and the ledger that proves nothing was lost."""
