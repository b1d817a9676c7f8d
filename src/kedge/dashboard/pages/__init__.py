"""The sections, a module each."""
