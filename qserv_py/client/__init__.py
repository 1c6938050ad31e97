"""The Python API of notebooks: ``connect`` to a cluster, ``query`` it, take the rows as Arrow, astropy or pandas.

>>> import qserv_py
>>> with qserv_py.connect(cluster="demo-cluster") as db:  # doctest: +SKIP
...     table = db.query("SELECT TOP 5 objectId, coord_ra, coord_dec FROM Object").to_arrow()
"""

from qserv_py.client.connection import Connection, connect
from qserv_py.client.result import Result

__all__ = ["Connection", "Result", "connect"]
