/* The process that tells the world: takes deliveries from the engine, sends them through their channels,
 * reports every attempt to state. It alone holds the channels' secrets; it opens no database. One thread, one
 * event loop. */
#ifndef COLLECTOR_DELIVERY_DELIVERY_H
#define COLLECTOR_DELIVERY_DELIVERY_H

#include "collector/config/config.h"
#include "collector/delivery/channel.h"
#include "common/error.h"

/* Runs until SIGTERM; lets attempts that are under way end (3 s at most). The process's exit code. */
int delivery_main(const struct config *config);

/* The exact request of one attempt at now_ms (wall clock): loads the hook's secret, renders, wipes the
 * secret. ERROR_UNSUPPORTED where this version has no channel of the hook's kind. */
int delivery_render(const struct config_hook *hook, const struct channel_message *message, int64_t now_ms,
    struct channel_request *request, struct error *err);

/* Sends one request under the rules for outgoing requests and waits for its end (10 s at most): for
 * `faultline hook test`. Takes the request. response->body is empty. */
int delivery_try(const struct config_hook *hook, struct channel_request *request,
    struct channel_response *response, enum channel_verdict *verdict, struct error *err);

#endif
