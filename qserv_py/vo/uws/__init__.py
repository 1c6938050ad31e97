"""The Universal Worker Service 1.1: jobs over HTTP."""
