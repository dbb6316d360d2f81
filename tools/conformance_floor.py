"""Compare a conformance run with the floor kept in the repository, which may only rise.

Usage: conformance_floor.py RESULT.json FLOOR.json [--raise]
"""

import json
import sys


def fully_passing(result: dict) -> dict[str, int]:
    """Number of operators of each group whose every check passed."""
    return {name: group["full"] for name, group in result["groups"].items()}


def main(argv: list[str]) -> int:
    with open(argv[0], encoding="utf-8") as f:
        now = fully_passing(json.load(f))
    with open(argv[1], encoding="utf-8") as f:
        floor = json.load(f)
    fallen = [
        f"{group}: {now.get(group, 0)} operators pass fully, the floor is {n}"
        for group, n in floor.items()
        if now.get(group, 0) < n
    ]
    if fallen:
        print("\n".join(fallen))
        return 1
    if "--raise" in argv:
        with open(argv[1], "w", encoding="utf-8") as f:
            json.dump({group: max(n, floor.get(group, 0)) for group, n in now.items()}, f, indent=1)
            f.write("\n")
    print(f"conformance: {now['ALL']} operators pass fully; no group is below its floor")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
