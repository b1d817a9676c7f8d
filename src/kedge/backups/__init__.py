"""Backups of a data directory: taken while its host works, and put back while none does."""
