"""Gunicorn's hooks. The application is loaded once and then forked, which saves memory and start time."""


def pre_fork(server, worker):
    """Close the connections to the database before a worker is forked.

    Workers that inherit one socket read each other's answers: errors at best, another user's rows at worst.
    """
    from superset.extensions import db

    with server.app.wsgi().app_context():
        db.session.remove()
        db.engine.dispose()
