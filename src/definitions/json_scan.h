/* JSON as it stands in a text, without a tree: for long lists of small objects. It is told where
 * values begin and end. Of what is in them only brackets and strings are looked at: whoever needs
 * more has the text of one parsed (json.h). */
#ifndef LEVERET_DEFINITIONS_JSON_SCAN_H
#define LEVERET_DEFINITIONS_JSON_SCAN_H

#include "base/bytes.h"

struct json_scan {
    const uint8_t *at, *end;
    size_t value_max; /* bytes of one value; 0: any */
    bool is_begun;    /* there was an item of what is open */
    bool is_bad;      /* what follows makes no sense, or is larger than a value may be */
};

/* What is in an array (`[`) or an object (`{`). Bad, when the text begins with neither. */
struct json_scan json_scan_of(struct bytes text, char bracket);
/* The text of the next item of the array, or of the next member of the object and, without its
 * quotes but with its escapes, its name. False: there are no more, or it is bad. */
bool json_scan_item(struct json_scan *scan, struct bytes *value);
bool json_scan_member(struct json_scan *scan, struct bytes *name, struct bytes *value);
/* The same in two steps: in between the value can be looked into, by a scan of its own of all that
 * follows, and what that leaves is given back. */
bool json_scan_name(struct json_scan *scan, struct bytes *name);
bool json_scan_value(struct json_scan *scan, struct bytes *value);
struct bytes json_scan_rest(const struct json_scan *scan);
/* Is there nothing but space behind what was closed? */
bool json_scan_is_over(struct json_scan *scan);

/* What a value is, if it is a string without escapes. */
bool json_scan_text(struct bytes value, struct bytes *text);
/* Is it a number without fraction and exponent, and not a very large one? */
bool json_scan_is_whole(struct bytes value);

#endif
