"""What all services share: reading requests, bounds, streams, documents, errors, logs and figures."""
