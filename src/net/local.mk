# src/net: the only file descriptors.

noinst_LIBRARIES += libleveret_net.a

libleveret_net_a_SOURCES =
