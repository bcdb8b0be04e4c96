"""What a user finds after `make demo`: its files share one home, in which `cinelake demo` ran once."""
