"""One module a silver table: a pure `transform`, from bronze or from `events`; `refresh.py` runs them in order."""
