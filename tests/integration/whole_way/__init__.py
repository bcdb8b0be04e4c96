"""The property test of the whole way: what is drawn, how it is sent, and what must be true of it in the end."""
