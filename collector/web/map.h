/* The graph of the site: what users pass, what stands behind it, what is measured where and what is not.
 * Pure. */
#ifndef COLLECTOR_WEB_MAP_H
#define COLLECTOR_WEB_MAP_H

#include <jansson.h>

#include "collector/config/config.h"

/* {"nodes": [{id, kind, state, measured: [], missing: []}], "edges": [{from, to, kind}]}. Edges run from
 * caller to callee: users -> service -> hops -> backends -> what they depend on, and each to its host, zone
 * and site. state: the mode of an open incident's cause, "affected" for its symptoms, else what engine_status
 * says of it, else "unknown". status may be NULL. New reference; never NULL. */
json_t *map_build(const struct config *config, const json_t *status);

#endif
