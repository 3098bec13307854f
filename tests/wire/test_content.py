#!/usr/bin/python3
"""Properties, fields of every type and bodies come through as they were."""

from wire import amqp, case, check, client, equal, main


@case("all properties come through")
def properties(t):
    c = client(t)
    q = c.queue()
    sent = {"content_type": "text/plain", "content_encoding": "utf-8", "headers": {"h": 1},
            "delivery_mode": 2, "priority": 9, "correlation_id": "c", "reply_to": "r",
            "expiration": "60000", "message_id": "m", "timestamp": 1234567890123, "type": "t",
            "user_id": "guest", "app_id": "a", "cluster_id": "k"}
    c.publish(1, q, "x", **sent)
    equal(c.get_soon(q).properties, sent, "properties")
    c.publish(1, q, "x")
    equal(c.get_soon(q).properties, {}, "no properties")


@case("every type of field comes through message headers")
def field_types(t):
    c = client(t)
    q = c.queue()
    T = amqp.Typed
    sent = {"t": T("t", True), "b": T("b", -5), "B": T("B", 200), "s": T("s", -3000),
            "u": T("u", 60000), "I": T("I", -2**31), "i": T("i", 2**32 - 1), "l": T("l", -2**63),
            "f": T("f", 0.5), "d": T("d", 1e300), "D": T("D", (2, 314)), "S": T("S", "text"),
            "T": T("T", 1700000000), "V": T("V", None), "x": T("x", "bytes"),
            "A": T("A", [T("I", 1), T("S", "two"), T("F", {"k": T("V", None)})]),
            "F": T("F", {"inner": T("F", {})}), "empty": T("S", ""), "": T("I", 0)}
    c.publish(1, q, "x", headers=sent)
    equal(c.get_soon(q).typed_headers(), sent, "headers")
    c.publish(1, q, "x", headers={"L": T("L", 77)})
    got = c.get_soon(q).typed_headers()["L"]
    check(got.tag in "lL" and got.value == 77, "L came back as %r" % got)


@case("bodies around the frame size are cut where they should be")
def body_frames(t):
    c = client(t, frame_max=4096)
    q = c.queue()
    for size in (0, 1, 4087, 4088, 4089, 8176, 8177, 100000):
        c.publish(1, q, b"b" * size)
        event = c.get_soon(q)
        equal(len(event.body), size, "size")
        want = [4088] * (size // 4088) + ([size % 4088] if size % 4088 else [])
        equal(event.body_frames, want, "frames of %d bytes" % size)


if __name__ == "__main__":
    main()
