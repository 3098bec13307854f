/* What two brokers say to one another about a client that the one speaks for and the other one serves, between the frames
 * of that client's connection: heartbeat frames (AMQP 0-9-1, 4.2.7) that have contents, which no client sends. They are
 * about the frame's channel; the first byte says what it is. Numbers are big-endian.
 *
 *     POSITION  8  in its queue, of the message that is delivered next; not if it needs no acknowledgement
 *     SETTLED   8  of the methods that have ended deliveries on this channel so many are for good
 *     CLAIM     a consumer's tag (a short string), 2 how many, and 8 for each: messages that the client holds as this
 *               consumer's. It is taken from a client that says again what it has said to another broker, in the order of
 *               their deliveries; those that are there still, and nobody has, are its deliveries then: with the next tags
 *     CLAIMED   2 how many, and a bit for each, the lowest first: it was granted */
#ifndef LEVERET_PEER_RELAYED_H
#define LEVERET_PEER_RELAYED_H

enum relayed_note { RELAYED_POSITION = 1, RELAYED_SETTLED, RELAYED_CLAIM, RELAYED_CLAIMED };

enum {
    RELAYED_NUMBER_BYTES = 1 + 8, /* of POSITION and SETTLED */
    RELAYED_CLAIMS_MAX = 400,     /* in one frame: it is within any frame_max */
    RELAYED_NOTE_BYTES = 4096,    /* at most */
};

#endif
