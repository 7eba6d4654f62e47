#include "proto/wire_scan.h"

#include "proto/limits.h"
#include "proto/wire_text.h"

struct scan {
    size_t fields, elements, packed_values;
};

/* The wire types of protobuf's encoding. */
enum { VARINT = 0, FIXED64 = 1, LENGTH_DELIMITED = 2, FIXED32 = 5 };

/* 0 if there is no varint of at most 10 bytes that ends in time, else its length. */
static size_t read_varint(const uint8_t *at, const uint8_t *end, uint64_t *value)
{
    uint64_t result = 0;
    for (size_t i = 0; i < 10 && at + i < end; i++) {
        result |= (uint64_t)(at[i] & 0x7F) << (7 * i);
        if (at[i] < 0x80) {
            *value = result;
            return i + 1;
        }
    }
    return 0;
}

/* Values in a packed field. Each varint has one byte below 0x80, its last. */
static size_t packed_count(ProtobufCType type, const uint8_t *at, size_t size)
{
    switch (type) {
    case PROTOBUF_C_TYPE_DOUBLE:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_SFIXED64: return size / 8;
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_SFIXED32: return size / 4;
    default: break;
    }
    size_t count = 0;
    for (size_t i = 0; i < size; i++) count += at[i] < 0x80;
    return count;
}

static int count_packed(struct scan *scan, size_t count, struct error *err)
{
    scan->packed_values += count;
    if (scan->packed_values <= LIMIT_PACKED_VALUES) return 0;
    return fail(err, ERROR_LIMIT, "more than %d packed values in a frame", LIMIT_PACKED_VALUES);
}

static int scan_message(struct scan *scan, const uint8_t *at, const uint8_t *end,
    const ProtobufCMessageDescriptor *type, unsigned depth, struct error *err);

/* Notes that a message field was given. protobuf would merge a second one into the first; nobody sends that.
 */
static int see_once(uint64_t *seen, const ProtobufCMessageDescriptor *type,
    const ProtobufCFieldDescriptor *field, struct error *err)
{
    bool oneof = (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
    uint64_t bit = (uint64_t)1 << (oneof ? 63 : (field - type->fields) % 63);
    if (*seen & bit) return fail(err, ERROR_INPUT, "%s.%s given twice", type->short_name, field->name);
    *seen |= bit;
    return 0;
}

static int scan_delimited(struct scan *scan, const uint8_t *at, size_t size,
    const ProtobufCMessageDescriptor *type, const ProtobufCFieldDescriptor *field, unsigned depth,
    uint64_t *seen, struct error *err)
{
    if (++scan->elements > LIMIT_ELEMENTS)
        return fail(err, ERROR_LIMIT, "more than %d elements in a frame", LIMIT_ELEMENTS);
    if (field == NULL) return 0;
    switch (field->type) {
    case PROTOBUF_C_TYPE_MESSAGE:
        if (field->label != PROTOBUF_C_LABEL_REPEATED && see_once(seen, type, field, err) != 0) return -1;
        return scan_message(scan, at, at + size, field->descriptor, depth + 1, err);
    case PROTOBUF_C_TYPE_STRING:
        if (!wire_text_ok((const char *)at, size))
            return fail(
                err, ERROR_INPUT, "%s.%s is not UTF-8 without control bytes", type->short_name, field->name);
        return 0;
    case PROTOBUF_C_TYPE_BYTES: return 0;
    default: return count_packed(scan, packed_count(field->type, at, size), err);
    }
}

static int scan_message(struct scan *scan, const uint8_t *at, const uint8_t *end,
    const ProtobufCMessageDescriptor *type, unsigned depth, struct error *err)
{
    if (depth > LIMIT_DEPTH) return fail(err, ERROR_LIMIT, "more than %d levels of messages", LIMIT_DEPTH);
    uint64_t seen = 0;
    while (at < end) {
        uint64_t tag, value = 0;
        size_t length = read_varint(at, end, &tag);
        if (length == 0 || length > 5 || tag > UINT32_MAX || tag >> 3 == 0)
            return fail(err, ERROR_INPUT, "malformed field number in %s", type->short_name);
        at += length;
        if (++scan->fields > LIMIT_FIELDS)
            return fail(err, ERROR_LIMIT, "more than %d fields in a frame", LIMIT_FIELDS);
        const ProtobufCFieldDescriptor *field =
            protobuf_c_message_descriptor_get_field(type, (unsigned)(tag >> 3));
        size_t size = 0;
        switch (tag & 7) {
        case VARINT: size = read_varint(at, end, &value); break;
        case FIXED64: size = 8; break;
        case FIXED32: size = 4; break;
        case LENGTH_DELIMITED:
            length = read_varint(at, end, &value);
            if (length == 0 || value > (uint64_t)(end - at) - length)
                return fail(err, ERROR_INPUT, "%s ends early", type->short_name);
            at += length;
            size = (size_t)value;
            if (scan_delimited(scan, at, size, type, field, depth, &seen, err) != 0) return -1;
            at += size;
            continue;
        default: return fail(err, ERROR_INPUT, "group or unknown wire type in %s", type->short_name);
        }
        if (size == 0 || size > (size_t)(end - at))
            return fail(err, ERROR_INPUT, "%s ends early", type->short_name);
        if (field != NULL && field->label == PROTOBUF_C_LABEL_REPEATED && count_packed(scan, 1, err) != 0)
            return -1;
        at += size;
    }
    return 0;
}

int wire_scan(struct span frame, const ProtobufCMessageDescriptor *type, struct error *err)
{
    if (frame.size > LIMIT_FRAME_BYTES)
        return fail(err, ERROR_LIMIT, "frame of %zu bytes, at most %d", frame.size, LIMIT_FRAME_BYTES);
    struct scan scan = {0};
    if (frame.size == 0) return 0;
    return scan_message(&scan, frame.data, frame.data + frame.size, type, 1, err);
}
