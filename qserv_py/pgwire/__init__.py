"""The PostgreSQL-protocol front door.

Here will live the asyncio server beside a shadow PostgreSQL, and the SHOW commands.
"""
