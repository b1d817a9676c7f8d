"""Pure Kubernetes data: metadata, names, selectors, quantities, patches, conditions, kinds, clock. No I/O here."""
