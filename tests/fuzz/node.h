/* Another node, as fuzz targets play it: "x@y", whose id is all 'n', of the cluster whose id is all 'c'. */
#ifndef LEVERET_TESTS_FUZZ_NODE_H
#define LEVERET_TESTS_FUZZ_NODE_H

#include "cluster/link.h"

void node_id_fill(uint8_t id[NODE_ID_BYTES], uint8_t with);
/* Of a node of that cluster, whose own id is all `letter`. */
struct node_identity node_identity_of(uint8_t letter, uint64_t incarnation);

/* It says hello, as who has dialed does. `session` and `incarnation` are as in a HELLO frame. */
void node_says_hello(struct conversation *conversation, enum link_way way, uint64_t session, uint64_t incarnation);

#endif
