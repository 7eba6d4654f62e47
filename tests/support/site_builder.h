/* A model built by hand, for tests and simulations of the engine: sites, zones, hosts, balancers, services
 * with hops and backends, and from those every target that a plan would have. Names are string literals or
 * outlive the builder. */
#ifndef TESTS_SUPPORT_SITE_BUILDER_H
#define TESTS_SUPPORT_SITE_BUILDER_H

#include "collector/core/model/model.h"

#define SITE_ADDRESSES_MAX 4

struct site_builder;

struct site_builder *builder_new(void);
void builder_free(struct site_builder *site);

/* All return indexes of the model. MODEL_NONE for "none". */
uint32_t builder_add_site(struct site_builder *site, const char *name, const char *provider);
void builder_add_reference(struct site_builder *site, uint32_t where, const char *url);
uint32_t builder_add_zone(struct site_builder *site, const char *name);
uint32_t builder_add_host(struct site_builder *site, const char *name, uint32_t where, uint32_t zone);
uint32_t builder_add_balancer(struct site_builder *site, const char *name, uint32_t host);
void builder_add_address(struct site_builder *site, uint32_t balancer, const char *address);
uint32_t builder_add_service(struct site_builder *site, const char *name, enum service_kind kind);
void builder_add_hop(struct site_builder *site, uint32_t service, uint32_t balancer);
/* Backends of one service are added one after the other, before the next service's. */
uint32_t builder_add_backend(
    struct site_builder *site, uint32_t service, const char *name, uint32_t host, uint32_t zone);
void builder_add_observer(struct site_builder *site, uint32_t service, uint32_t host);
void builder_depends(struct site_builder *site, uint32_t service, uint32_t on);
void builder_needs(struct site_builder *site, uint32_t service, uint32_t capacity);
void builder_without_health(struct site_builder *site, uint32_t service);
/* Only the page as users come and the page of each backend: the matrix of the simulations. */
void builder_pages_only(struct site_builder *site);

/* Pages as users come and through each hop at this interval, with a connect a second beside each of them. */
void builder_through_every(struct site_builder *site, uint32_t interval_ms);

/* Makes the targets (1 s each) and hands out the model, which belongs to the builder and may still be changed
 * by the test. Call once, last. */
struct model *builder_model(struct site_builder *site);

const char *const *builder_addresses(const struct site_builder *site, uint32_t balancer, uint32_t *count);
uint32_t builder_target(const struct model *model, uint32_t service, enum model_entrance entrance,
    uint32_t thing, enum probe_kind probe);

/* observers `names[0..n)`, one balancer "lb-www" with an agent on "lb1" where asked for, service "www" with
 * backends app1…; the shape of most tests. */
struct site_builder *builder_simple(uint32_t observers, uint32_t backends, bool agent_on_balancer);

#endif
