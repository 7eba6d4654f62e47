/* Probes tried once, for `faultline check --live`: `faultline-agent try [--credentials DIRECTORY]` reads JSON
 * objects on lines of stdin and writes one line for each as it ends, in any order, up to TRY_OPEN_MAX at a
 * time.
 *
 *   in   {"key": any, "probe": "http" | "tcp" | "haproxy", "url": text, "connect": "host:port", "method":
 * "GET" | "HEAD", "headers": [name, value, …], "timeout_ms": 5000, "insecure": false, "follow": false,
 * "expect_text": text, "expect_code_min": 0, "expect_code_max": 0, "credentials_file": name}      only url is
 * needed out  {"key": the same, "outcome": "ok" | "fail", "error": word of probe_error_name, "code": 200,
 * "resolve_us": -1, "connect_us": …, "tls_us": …, "first_byte_us": …, "total_us": …, "detail": a sentence for
 * people}
 *
 * A line that is no such object is answered with error "local" and the reason. */
#ifndef AGENT_PROBE_TRY_H
#define AGENT_PROBE_TRY_H

#include <stdio.h>

#include "common/error.h"

#define TRY_OPEN_MAX       32
#define TRY_LINE_BYTES_MAX (64 * 1024)
#define TRY_LINES_MAX      4096
#define TRY_TIMEOUT_MS     5000 /* where a line does not say */

/* argv[0] is "try". The exit code: 0 once every line is answered, 1 if it could not begin, 2 for wrong
 * arguments. */
int agent_try(int argc, char **argv);

/* What agent_try does, for tests. */
int try_lines(FILE *in, FILE *out, const char *credentials_directory, struct error *err);

#endif
