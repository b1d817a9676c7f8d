"""Kinds of users' own as plain data: what a CustomResourceDefinition's schema means, and the rules of a definition itself."""
