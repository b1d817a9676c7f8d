"""How every part of Kedge reads and writes Kubernetes objects: two small protocols, implemented in process and over HTTP."""
