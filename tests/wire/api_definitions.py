#!/usr/bin/python3
"""The API's resources of definitions: exchanges, bindings, users, policies and their like.

Needs no broker: it starts one, LEVERETD or leveretd in $top_builddir, or with --rabbitmq Debian's
RabbitMQ, which has to answer the same.  Output is TAP.
"""

import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import api  # noqa: E402
from api import case, error  # noqa: E402

BROKER = []


def expect(*arguments, **more):
    return BROKER[0].expect(*arguments, **more)


NOT_FOUND = error("Object Not Found", "Not Found")


@case("who asks")
def _(_t):
    expect("GET", "/api/whoami", 200, answer={"name": "guest", "tags": ["administrator"]})
    expect("GET", "/api/whoami", 401, user=("guest", "wrong"),
           answer=error("not_authorized", "Login failed"))
    expect("GET", "/api/nosuch", 404, answer=NOT_FOUND)


if __name__ == "__main__":
    api.main(BROKER.append)
