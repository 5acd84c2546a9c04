"""Jobs, fires and beats in a SQL database.

Functions take a connection; the caller owns the transaction.
"""
