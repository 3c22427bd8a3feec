"""Webhooks: rows as bodies of POST requests.

Law: a host in somebody's own network is refused unless that was allowed; redirects are not followed.
"""
