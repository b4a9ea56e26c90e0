"""Make Superset know accounts. Runs in the Superset environment; a JSON list comes through stdin.

Each entry: ``name``, ``title``, ``roles`` (names of Superset roles; ``lake_reader`` is made when
missing), ``active``, ``password`` (None: keep).
"""

import json
import sys

from superset.app import create_app

OWN_ROLES = {"lake_reader"}


def main() -> None:
    app = create_app()
    with app.app_context():
        manager = app.appbuilder.sm
        for wanted in json.load(sys.stdin):
            roles = [manager.add_role(name) if name in OWN_ROLES else manager.find_role(name) for name in wanted["roles"]]
            if None in roles:
                raise SystemExit(f"a role of {wanted['name']} is missing: {wanted['roles']}")
            user = manager.find_user(username=wanted["name"])
            if user is None:
                user = manager.add_user(wanted["name"], wanted["title"], "", f"{wanted['name']}@lake.invalid", roles, password=wanted["password"])
                if not user:
                    raise SystemExit(f"{wanted['name']} could not be added")
            elif wanted["password"] is not None:
                manager.reset_password(user.id, wanted["password"])
            user.first_name, user.active, user.roles = wanted["title"], wanted["active"], roles
            manager.update_user(user)


main()
