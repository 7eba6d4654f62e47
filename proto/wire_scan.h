/* The look at a frame before anything is allocated for it. Pure. */
#ifndef PROTO_WIRE_SCAN_H
#define PROTO_WIRE_SCAN_H

#include <protobuf-c/protobuf-c.h>

#include "common/error.h"
#include "common/span.h"

/* Walks the protobuf wire format of a frame as messages of `type` are made (the generated descriptor, so that
 * a new field needs no change here) and refuses: ERROR_LIMIT  more than LIMIT_FRAME_BYTES, LIMIT_FIELDS,
 * LIMIT_ELEMENTS, LIMIT_PACKED_VALUES or LIMIT_DEPTH allow; ERROR_INPUT  what ends early, groups, field
 * number 0, a message field given twice, two bodies in a oneof, strings that are not UTF-8 or hold control
 * bytes (NUL included: protobuf-c would not notice). Fields that the descriptor does not know are skipped
 * unread, but counted. Allocates nothing; linear in the frame. */
int wire_scan(struct span frame, const ProtobufCMessageDescriptor *type, struct error *err);

#endif
