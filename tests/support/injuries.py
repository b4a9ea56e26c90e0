"""Python that damages or changes a step of the pipeline before it runs (`Published.step`)."""

# A code of its own: silver and gold are built anew.
ANEW = "pipeline.build_id = lambda *parts: 'another'\n"


def compacting(*tables: str) -> str:
    """The small files of these tables are put together, few as they are."""
    return f"""
compact, few = pipeline._compact, pipeline.delta.MOST_FILES
def some(spark, tables, anew):
    pipeline.delta.MOST_FILES = 1
    try:
        return compact(spark, tables if anew else [t for t in tables if t.name in {tables!r}], anew)
    finally:
        pipeline.delta.MOST_FILES = few
pipeline._compact = some
"""
