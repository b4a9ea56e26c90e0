"""Trademarks: what resembles a protected name, what speaks for bad faith, until when one may oppose."""
