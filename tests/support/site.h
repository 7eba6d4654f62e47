/* A config made by hand, as collector/config would read it, for tests of what is compiled from it. All
 * strings live in an arena; free with site_free. Names of observers are o1, o2, …; of backends app1, app2, ….
 */
#ifndef TESTS_SUPPORT_SITE_H
#define TESTS_SUPPORT_SITE_H

#include "collector/config/config.h"
#include "common/arena.h"

struct site {
    struct config config;
    struct arena arena;
    const char **present; /* the config's hosts that are enrolled: all but those of backends and balancers */
    size_t present_count;
};

/* One service "www" at http://127.0.0.1:8080/ behind lb-www at its address, `backends` servers and
 * `observers` hosts. */
struct site *site_small(size_t backends, size_t observers);
/* `services` of them (www1, …) behind one balancer, `backends` and `hosts` in all, hosts over 3 sites and 2
 * zones. */
struct site *site_large(size_t services, size_t backends, size_t hosts);
void site_free(struct site *site);

#endif
