"""The one exception of landing."""


class Refused(Exception):
    """A delivery that can't be taken; the text is Chinese, for the clerk who sent it: what, where, why, what to do."""
