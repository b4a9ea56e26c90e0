"""Other ways to do the lake's work, as somebody would who writes scripts: everything is built anew each time, nothing is gated, nothing published.

The refinement of a record is the lake's own code in all of them, so that what is compared is what is around it.
"""
