#!/usr/bin/python3
"""The scenarios of pika_callbacks.py on pika's SelectConnection."""

from pika.adapters.select_connection import SelectConnection

from pika_callbacks import register
from tap import main

if __name__ == "__main__":
    register(SelectConnection)
    main()
