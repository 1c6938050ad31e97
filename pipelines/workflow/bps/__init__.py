"""What BPS and a run of ours hand each other: its workflow as our plan, the site's numbers, where its programs are.

The files for ``bps`` here say what each workflow service needs beside the payload; a file of a user includes one.
"""
