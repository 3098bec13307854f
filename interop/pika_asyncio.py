#!/usr/bin/python3
"""The scenarios of pika_callbacks.py on pika's AsyncioConnection."""

from pika.adapters.asyncio_connection import AsyncioConnection

from pika_callbacks import register
from tap import main

if __name__ == "__main__":
    register(AsyncioConnection)
    main()
