# src/amqp: bytes to values and back, without state.

noinst_LIBRARIES += libleveret_amqp.a

libleveret_amqp_a_SOURCES =
