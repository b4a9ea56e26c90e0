"""The catalog site: what data there is, what it means, who supplies it, how good it is, where it comes from and goes to.

Pages are made from the contracts, the field dictionary, the code lists, the dashboards' files and, where a lake has run, from what it holds
(`Status`). `build` writes them as files that need nothing else.
"""
