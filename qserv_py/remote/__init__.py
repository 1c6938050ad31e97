"""The other side: asking a service of qserv_py, or any TAP service, over HTTP."""
