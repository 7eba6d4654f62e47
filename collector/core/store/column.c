/* The forms of a column: how doubles become integers, and what is divided out of integers. */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "collector/core/store/codec.h"
#include "common/check.h"

#define DICTIONARY_MAX   128 /* distinct values */
#define DICTIONARY_SLOTS 512
/* Beyond this, rounding could no longer be undone by one division. */
#define DECIMAL_LIMIT ((double)((int64_t)1 << 50))

static const double powers_of_ten[CODEC_EXPONENT_MAX + 1] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};

int64_t codec_order_bits(uint64_t double_bits)
{
    return (int64_t)(double_bits ^ (double_bits >> 63 != 0 ? (uint64_t)INT64_MAX : 0));
}

uint64_t codec_unorder_bits(int64_t ordered)
{
    return (uint64_t)ordered ^ (ordered < 0 ? (uint64_t)INT64_MAX : 0);
}

static double double_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* Bits are compared, so that -0, which no integer stands for, is not taken. */
static bool decimal_of(uint64_t bits, unsigned exponent, int64_t *integer)
{
    double scaled = double_of(bits) * powers_of_ten[exponent];
    if (!(fabs(scaled) < DECIMAL_LIMIT)) return false;
    int64_t rounded = llrint(scaled);
    if (bits_of((double)rounded / powers_of_ten[exponent]) != bits) return false;
    *integer = rounded;
    return true;
}

struct codec_form codec_form_doubles(const uint64_t *bits, size_t count, int64_t *ints)
{
    struct codec_form form = {.kind = CODEC_DECIMAL};
    for (size_t i = 0; i < count;) {
        if (decimal_of(bits[i], form.exponent, &ints[i])) {
            i++;
        } else if (form.exponent < CODEC_EXPONENT_MAX) {
            form.exponent++;
            i = 0; /* the values before must hold at the new exponent, too */
        } else {
            form.kind = CODEC_DOUBLE;
            form.exponent = 0;
            for (size_t k = 0; k < count; k++) ints[k] = codec_order_bits(bits[k]);
            return form;
        }
    }
    return form;
}

uint64_t codec_bits(const struct codec_form *form, int64_t value)
{
    switch (form->kind) {
    case CODEC_INT: return (uint64_t)value;
    case CODEC_DECIMAL: return bits_of((double)value / powers_of_ten[form->exponent]);
    default: return codec_unorder_bits(value);
    }
}

uint64_t codec_divisor(const int64_t *ints, size_t count)
{
    uint64_t divisor = 0;
    for (size_t i = 1; i < count; i++) {
        int64_t from_first;
        /* The quotients are signed: what does not fit is left alone. */
        if (__builtin_sub_overflow(ints[i], ints[0], &from_first)) return 1;
        uint64_t a = from_first < 0 ? 0 - (uint64_t)from_first : (uint64_t)from_first;
        while (a != 0) {
            uint64_t rest = divisor % a;
            divisor = a;
            a = rest;
        }
        if (divisor == 1) return 1;
    }
    return divisor > 1 && divisor <= INT64_MAX ? divisor : 1;
}

/* Distinct values in order of appearance and the index of each; 0 where there are too many. */
static size_t dictionary_of(
    const int64_t *ints, size_t count, int64_t table[DICTIONARY_MAX], int64_t *indexes)
{
    int16_t slots[DICTIONARY_SLOTS];
    memset(slots, 0xff, sizeof slots);
    size_t distinct = 0;
    for (size_t i = 0; i < count; i++) {
        size_t slot = (size_t)(((uint64_t)ints[i] * 0x9E3779B97F4A7C15u) >> 55);
        while (slots[slot] >= 0 && table[slots[slot]] != ints[i]) slot = (slot + 1) % DICTIONARY_SLOTS;
        if (slots[slot] < 0) {
            if (distinct == DICTIONARY_MAX) return 0;
            table[distinct] = ints[i];
            slots[slot] = (int16_t)distinct++;
        }
        indexes[i] = slots[slot];
    }
    return distinct;
}

size_t codec_column_bound(size_t count)
{
    return 2 + VARINT_BYTES_MAX * 2 + codec_ints_bound(DICTIONARY_MAX) + codec_ints_bound(count);
}

static uint8_t *encode_dictionary(const int64_t *ints, size_t count, int64_t *scratch, uint8_t *out)
{
    int64_t table[DICTIONARY_MAX];
    size_t distinct = count >= 16 ? dictionary_of(ints, count, table, scratch) : 0;
    /* Worth it from about eight uses of a value. */
    if (distinct == 0 || distinct * 8 > count) return NULL;
    *out++ = CODEC_DICTIONARY;
    out = put_varint(out, distinct);
    out = codec_ints_encode(table + 1, distinct - 1, table[0], out); /* table[0] is the first value */
    return codec_ints_encode(scratch + 1, count - 1, 0, out);
}

uint8_t *codec_column_encode(
    struct codec_form *form, const int64_t *ints, size_t count, int64_t *scratch, uint8_t *out)
{
    CHECK(count > 0 && form->kind != CODEC_DICTIONARY);
    if (form->kind == CODEC_DOUBLE) {
        uint8_t *end = encode_dictionary(ints, count, scratch, out);
        if (end != NULL) {
            form->kind = CODEC_DICTIONARY;
            return end;
        }
    }
    form->divisor = form->kind == CODEC_DOUBLE ? 1 : codec_divisor(ints, count);
    *out++ = (uint8_t)(form->kind | (form->divisor > 1 ? CODEC_DIVIDED : 0));
    if (form->kind == CODEC_DECIMAL) *out++ = (uint8_t)form->exponent;
    if (form->divisor <= 1) return codec_ints_encode(ints + 1, count - 1, ints[0], out);
    out = put_varint(out, form->divisor);
    for (size_t i = 0; i < count; i++) scratch[i] = (ints[i] - ints[0]) / (int64_t)form->divisor;
    return codec_ints_encode(scratch + 1, count - 1, 0, out);
}

static int decode_dictionary(struct cursor *in, size_t count, int64_t first, int64_t *ints, struct error *err)
{
    int64_t table[DICTIONARY_MAX] = {first};
    size_t distinct = (size_t)cursor_varint(in);
    if (in->bad || distinct == 0 || distinct > DICTIONARY_MAX)
        return fail(err, ERROR_CORRUPT, "dictionary of %zu values", distinct);
    if (codec_ints_decode(in, distinct - 1, first, table + 1, err) != 0) return -1;
    if (codec_ints_decode(in, count - 1, 0, ints + 1, err) != 0) return -1;
    ints[0] = first;
    for (size_t i = 1; i < count; i++) {
        if (ints[i] < 0 || (size_t)ints[i] >= distinct)
            return fail(err, ERROR_CORRUPT, "index outside of the dictionary");
        ints[i] = table[ints[i]];
    }
    return 0;
}

int codec_column_decode(
    struct cursor *in, size_t count, int64_t first, int64_t *ints, struct codec_form *form, struct error *err)
{
    uint8_t kind = cursor_byte(in);
    *form = (struct codec_form){.kind = kind & ~CODEC_DIVIDED, .divisor = 1};
    if (form->kind == CODEC_DECIMAL) form->exponent = cursor_byte(in);
    if (kind & CODEC_DIVIDED) form->divisor = cursor_varint(in);
    if (in->bad || count == 0 || form->kind >= CODEC_KIND_COUNT || form->exponent > CODEC_EXPONENT_MAX)
        return fail(err, ERROR_CORRUPT, "unknown form %u of a column", kind);
    if (form->kind == CODEC_DICTIONARY) return decode_dictionary(in, count, first, ints, err);
    bool divided = (kind & CODEC_DIVIDED) != 0;
    if (codec_ints_decode(in, count - 1, divided ? 0 : first, ints + 1, err) != 0) return -1;
    ints[0] = first;
    if (divided)
        for (size_t i = 1; i < count; i++)
            ints[i] = (int64_t)((uint64_t)first + (uint64_t)ints[i] * form->divisor);
    return 0;
}
