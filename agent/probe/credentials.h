/* What a probe shows to be let in, from a file of the agent's credentials directory (0600). Its lines:
 *     user:password          HTTP basic authentication
 *     Bearer TOKEN           the Authorization header
 *     Name: value            any header
 * Blank lines and lines that begin with '#' do not count. Read for every probe: a change needs no reload.
 * Blocking. */
#ifndef AGENT_PROBE_CREDENTIALS_H
#define AGENT_PROBE_CREDENTIALS_H

#include "common/error.h"

struct curl_slist;

struct credentials {
    char *userpwd; /* NULL none */
    struct curl_slist *headers;
};

/* name: of a file in directory, without '/'. */
int credentials_load(const char *directory, const char *name, struct credentials *out, struct error *err);
void credentials_fini(struct credentials *credentials); /* wipes */

#endif
