"""The ``qserv`` command: parse arguments, call one function, print."""
