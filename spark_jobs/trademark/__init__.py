"""Similar trademarks: who comes close to a protected name, and why."""
