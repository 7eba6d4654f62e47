/* Every bound of the wire. What exceeds one is refused and counted; tests/unit/proto holds each of them. */
#ifndef PROTO_LIMITS_H
#define PROTO_LIMITS_H

#define LIMIT_FRAME_BYTES           (256 * 1024) /* ZMQ_MAXMSGSIZE */
#define LIMIT_ELEMENTS              4096  /* length-delimited elements in a frame, counted before unpacking */
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
#define LIMIT_BURST_PER_SECOND      10 /* per target, all observers together */
#define LIMIT_HOST_BYTES            64 /* a host's name: [A-Za-z0-9._-]+ */

#endif
