"""Files for ``bps``: what each workflow service needs beside the payload. A file of yours includes one of them."""
