"""The Table Access Protocol 1.1: synchronous queries and the documents that describe the service."""
