"""Make Airflow know accounts. Runs in the Airflow environment; a JSON list comes through stdin.

Each entry: ``name``, ``title``, ``roles`` (names of Airflow roles), ``active``, ``password`` (None: keep).
"""

import json
import sys

from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder


def main() -> None:
    with get_application_builder() as appbuilder:
        manager = appbuilder.sm
        for wanted in json.load(sys.stdin):
            roles = [manager.find_role(name) for name in wanted["roles"]]
            if None in roles:
                raise SystemExit(f"a role of {wanted['name']} is missing: {wanted['roles']}")
            user = manager.find_user(username=wanted["name"])
            if user is None:
                user = manager.add_user(wanted["name"], wanted["title"], "-", f"{wanted['name']}@lake.invalid", roles, password=wanted["password"])
                if not user:
                    raise SystemExit(f"{wanted['name']} could not be added")
            elif wanted["password"] is not None:
                manager.reset_password(user.id, wanted["password"])
            user.active, user.roles = wanted["active"], roles
            manager.update_user(user)


main()
