"""The stages in their order: what one refresh does, and the write-audit-publish of gold."""
