/* Every bound of the wire. What exceeds one is refused and counted; tests/unit/proto holds each of them. */
#ifndef PROTO_LIMITS_H
#define PROTO_LIMITS_H

#include <stdint.h>

#define LIMIT_FRAME_BYTES           (256 * 1024) /* ZMQ_MAXMSGSIZE */
#define LIMIT_ELEMENTS              4096  /* length-delimited elements in a frame, counted before unpacking */
#define LIMIT_FIELDS                16384 /* protobuf fields of any kind in a frame */
#define LIMIT_DEPTH                 4     /* messages within messages: FromAgent, Batch, Rows, Histogram */
#define LIMIT_PACKED_VALUES         65536 /* packed values in a frame, all fields together */
#define LIMIT_DECODE_BYTES          (4 * 1024 * 1024) /* memory one frame may take when unpacked */
#define LIMIT_METRIC_BYTES          64
#define LIMIT_LABELS                8
#define LIMIT_LABEL_NAME_BYTES      32
#define LIMIT_LABEL_VALUE_BYTES     256
#define LIMIT_SERIES_PER_HOST       2000
#define LIMIT_SERIES                1000000 /* all hosts of a collector */
#define LIMIT_ACK_RANGES            64
#define LIMIT_TARGETS_PER_AGENT     2048
#define LIMIT_TARGETS_PER_PLAN_PART 256
#define LIMIT_URL_BYTES             2048
#define LIMIT_GAPS_PER_BATCH        64
#define LIMIT_FUTURE_MS             (10 * 60 * 1000) /* a sample further ahead of the collector's clock is refused */
#define LIMIT_CREDIT                256
#define LIMIT_BURST_MS              5000
#define LIMIT_BURST_PER_SECOND      10              /* per target, all observers together */
#define LIMIT_TIME_MS               253402300799999 /* the last millisecond of the year 9999; times are from 0 */
#define LIMIT_SEQUENCE              INT64_MAX /* so that the next one always exists, and SQLite holds it */
#define LIMIT_PHASE_US              ((int64_t)1 << 50)
#define LIMIT_DICT_ID               (1 << 24)
#define LIMIT_BUCKETS               1024 /* of a histogram: 16 for each octave of 64 bits */
#define LIMIT_VERSION_BYTES         64   /* of a program, as text */
#define LIMIT_CONNECT_BYTES         280  /* address:port */
#define LIMIT_HEADERS               32   /* of a target */
#define LIMIT_HEADER_NAME_BYTES     128
#define LIMIT_HEADER_VALUE_BYTES    4096
#define LIMIT_EXPECT_TEXT_BYTES     1024
#define LIMIT_FILE_NAME_BYTES       255
#define LIMIT_REASON_BYTES          256
#define LIMIT_PLAN_MS               86400000 /* intervals and timeouts of a target, and retry_after */
#define LIMIT_HOST_BYTES            64       /* a host's name: [A-Za-z0-9._-]+ */

#endif
