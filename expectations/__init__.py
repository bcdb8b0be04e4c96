"""Great Expectations: the suites, the gates that run them after each layer, and Data Docs."""
