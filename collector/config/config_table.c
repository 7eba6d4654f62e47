/* The one table of the collector's configuration: it parses, checks, prints itself (`faultline check
 * --print-schema`) and holds every default. Help texts are one sentence; they end up in errors. */
#include "collector/config/config.h"

#define END_OF_ROWS                                                                                          \
    {                                                                                                        \
        0                                                                                                    \
    }

#define HOSTS_MAX     10000
#define SERVICES_MAX  1000
#define BALANCERS_MAX 1000
#define BACKENDS_MAX  512 /* of one service */
#define HOPS_MAX      8
#define LIST_MAX      64 /* of lists that people write by hand */

static const struct schema_field text = {.name = "text", .type = SCHEMA_TEXT};
static const struct schema_field url = {.name = "url", .type = SCHEMA_URL};
static const struct schema_field host_name = {.name = "host", .type = SCHEMA_NAME};

/* ── collector ── */

static const struct schema_field listen_shapes[] = {
    {.name = "one", .type = SCHEMA_TEXT},
    {.name = "several", .type = SCHEMA_LIST, .min = 1, .max = 16, .element = &text},
    END_OF_ROWS,
};

static const struct schema_field retention_rows[] = {
    {.name = "seconds",
        .type = SCHEMA_DURATION,
        .fallback = "14d",
        .help = "how long samples of each second are kept, in whole days"},
    END_OF_ROWS,
};

static const struct schema_field collector_rows[] = {
    {.name = "listen",
        .type = SCHEMA_ANY_OF,
        .fields = listen_shapes,
        .required = true,
        .help = "where agents connect: tcp://ADDRESS:PORT, one or a list; port * takes a free one"},
    {.name = "data",
        .type = SCHEMA_FILE,
        .fallback = "/var/lib/faultline",
        .help = "directory of the store, created if missing"},
    {.name = "run",
        .type = SCHEMA_FILE,
        .help = "directory of the sockets between the processes, at most 60 bytes; DATA/run if absent"},
    {.name = "letter",
        .type = SCHEMA_TEXT,
        .fallback = "A",
        .help = "one capital letter: the end of this collector's incident numbers"},
    {.name = "key_file",
        .type = SCHEMA_FILE,
        .help = "this collector's key pair, made at the first start; DATA/collector.key if absent"},
    {.name = "agents_file",
        .type = SCHEMA_FILE,
        .help = "who may speak: lines HOST PUBLICKEY; DATA/agents if absent"},
    {.name = "api_socket",
        .type = SCHEMA_FILE,
        .help = "unix socket of the API, mode 0660; RUN/api.sock if absent"},
    {.name = "web_listen",
        .type = SCHEMA_TEXT,
        .fallback = "",
        .help = "ADDRESS:PORT of the pages and the API; empty: off"},
    {.name = "retention",
        .type = SCHEMA_OBJECT,
        .fields = retention_rows,
        .help = "how long samples are kept"},
    END_OF_ROWS,
};

/* ── sites, hosts, balancers ── */

static const struct schema_field site_rows[] = {
    {.name = "references",
        .type = SCHEMA_LIST,
        .max = LIST_MAX,
        .element = &url,
        .help = "two URLs elsewhere that tell this site's way out from the target"},
    {.name = "provider", .type = SCHEMA_NAME, .help = "who runs the place"},
    END_OF_ROWS,
};
static const struct schema_field site = {.name = "site", .type = SCHEMA_OBJECT, .fields = site_rows};

static const struct schema_field host_rows[] = {
    {.name = "site", .type = SCHEMA_REFERENCE, .words = "sites", .help = "the place it stands in"},
    {.name = "zone", .type = SCHEMA_NAME, .help = "the part of the site that fails as one"},
    {.name = "observer",
        .type = SCHEMA_BOOL,
        .fallback = "yes",
        .help = "whether its agent may be chosen to probe services"},
    {.name = "maintenance",
        .type = SCHEMA_BOOL,
        .fallback = "no",
        .help = "being worked on: nothing about it is a fault"},
    END_OF_ROWS,
};
static const struct schema_field host = {.name = "host", .type = SCHEMA_OBJECT, .fields = host_rows};

static const struct schema_field address_shapes[] = {
    {.name = "dns", .type = SCHEMA_CHOICE, .words = "dns"},
    {.name = "list", .type = SCHEMA_LIST, .min = 1, .max = LIST_MAX, .element = &text},
    END_OF_ROWS,
};

static const struct schema_field balancer_rows[] = {
    {.name = "addresses",
        .type = SCHEMA_ANY_OF,
        .fields = address_shapes,
        .fallback = "dns",
        .help = "dns: each address that the service's host name resolves to; or a list of ADDRESS or "
                "ADDRESS:PORT"},
    {.name = "host", .type = SCHEMA_NAME, .help = "the host that it runs on, where an agent can run"},
    {.name = "stats",
        .type = SCHEMA_URL,
        .help = "HAProxy's statistics as CSV: http://ADDRESS:PORT/stats;csv"},
    END_OF_ROWS,
};
static const struct schema_field balancer = {
    .name = "balancer", .type = SCHEMA_OBJECT, .fields = balancer_rows};

/* ── services ── */

static const struct schema_field header_value = {.name = "value", .type = SCHEMA_TEXT};

static const struct schema_field hop_rows[] = {
    {.name = "balancer",
        .type = SCHEMA_REFERENCE,
        .words = "balancers",
        .required = true,
        .help = "the hop's name in 'balancers'"},
    {.name = "scheme", .type = SCHEMA_CHOICE, .words = "http https", .help = "instead of the URL's"},
    {.name = "port", .type = SCHEMA_INTEGER, .min = 1, .max = 65535, .help = "instead of the URL's"},
    {.name = "headers",
        .type = SCHEMA_MAP,
        .max = 16,
        .element = &header_value,
        .help = "sent to this hop in addition"},
    {.name = "insecure",
        .type = SCHEMA_BOOL,
        .fallback = "no",
        .help = "certificates are not checked on this hop"},
    END_OF_ROWS,
};
static const struct schema_field hop_shapes[] = {
    {.name = "name", .type = SCHEMA_REFERENCE, .words = "balancers"},
    {.name = "hop", .type = SCHEMA_OBJECT, .fields = hop_rows},
    END_OF_ROWS,
};
static const struct schema_field hop = {.name = "hop", .type = SCHEMA_ANY_OF, .fields = hop_shapes};

static const struct schema_field backend_rows[] = {
    {.name = "name", .type = SCHEMA_NAME, .help = "its name in verdicts; the host part of the URL if absent"},
    {.name = "url",
        .type = SCHEMA_URL,
        .words = "http https tcp",
        .required = true,
        .help = "scheme://ADDRESS[:PORT] as observers reach it directly"},
    {.name = "host",
        .type = SCHEMA_NAME,
        .help = "the host that it runs on; the one of the URL's name if absent"},
    {.name = "state",
        .type = SCHEMA_CHOICE,
        .words = "normal draining maintenance",
        .fallback = "normal",
        .help = "draining and maintenance are no faults"},
    {.name = "server",
        .type = SCHEMA_TEXT,
        .help = "HAProxy's PROXY/SERVER where it is not found by address"},
    END_OF_ROWS,
};
static const struct schema_field backend_shapes[] = {
    {.name = "url", .type = SCHEMA_URL, .words = "http https tcp"},
    {.name = "backend", .type = SCHEMA_OBJECT, .fields = backend_rows},
    END_OF_ROWS,
};
static const struct schema_field backend = {
    .name = "backend", .type = SCHEMA_ANY_OF, .fields = backend_shapes};

static const struct schema_field service_reference = {
    .name = "service", .type = SCHEMA_REFERENCE, .words = "services"};

static const struct schema_field slo_rows[] = {
    {.name = "latency", .type = SCHEMA_DURATION, .help = "an answer that takes longer is a bad one"},
    {.name = "availability",
        .type = SCHEMA_PERCENT,
        .help = "the share of good answers that is promised",
        .not_yet = "burn rates come with a later version"},
    END_OF_ROWS,
};

static const struct schema_field expect_rows[] = {
    {.name = "status",
        .type = SCHEMA_TEXT,
        .help = "the HTTP status of a good answer, 200 or 200-299; 200-399 if absent"},
    {.name = "text", .type = SCHEMA_TEXT, .help = "what a good page contains"},
    END_OF_ROWS,
};

static const struct schema_field postgres_rows[] = {
    {.name = "host", .type = SCHEMA_TEXT, .required = true, .help = "where PostgreSQL listens"},
    {.name = "dbname", .type = SCHEMA_TEXT, .fallback = "postgres", .help = "the database to ask"},
    {.name = "user", .type = SCHEMA_TEXT, .fallback = "faultline", .help = "a role that may read"},
    {.name = "password_file", .type = SCHEMA_FILE, .help = "name of a file on the observer"},
    END_OF_ROWS,
};

static const struct schema_field capacity_rows[] = {
    {.name = "needed",
        .type = SCHEMA_INTEGER,
        .min = 1,
        .max = BACKENDS_MAX,
        .help = "backends that must be up to carry the load; all but one if absent"},
    END_OF_ROWS,
};

static const struct schema_field service_rows[] = {
    {.name = "kind",
        .type = SCHEMA_CHOICE,
        .words = "web db search cache",
        .fallback = "web",
        .help = "what it is; gives its name in verdicts"},
    {.name = "url", .type = SCHEMA_URL, .words = "http https tcp", .help = "as users come: a real page"},
    {.name = "health", .type = SCHEMA_TEXT, .help = "a path that needs no worker and no dependency"},
    {.name = "through",
        .type = SCHEMA_LIST,
        .max = HOPS_MAX,
        .element = &hop,
        .help = "the balancers that users pass, in order"},
    {.name = "backends",
        .type = SCHEMA_LIST,
        .max = BACKENDS_MAX,
        .element = &backend,
        .help = "the servers behind it, as observers reach them directly"},
    {.name = "backends_from",
        .type = SCHEMA_CHOICE,
        .words = "listed dns file haproxy http exec",
        .fallback = "listed",
        .help = "where the list of backends comes from"},
    {.name = "depends_on",
        .type = SCHEMA_LIST,
        .max = LIST_MAX,
        .element = &service_reference,
        .help = "services that it calls"},
    {.name = "alternatives",
        .type = SCHEMA_LIST,
        .max = LIST_MAX,
        .element = &url,
        .help = "other ways that users could be sent"},
    {.name = "slo", .type = SCHEMA_OBJECT, .fields = slo_rows, .help = "what is promised to users"},
    {.name = "optional",
        .type = SCHEMA_REFERENCE,
        .words = "actions",
        .help = "the action that switches it off; the site lives without it"},
    {.name = "hosts",
        .type = SCHEMA_LIST,
        .max = LIST_MAX,
        .element = &host_name,
        .help = "hosts that it runs on"},
    {.name = "data",
        .type = SCHEMA_TEXT,
        .help = "directory of its data on those hosts",
        .not_yet = "disks are not judged by this version"},
    {.name = "postgres",
        .type = SCHEMA_OBJECT,
        .fields = postgres_rows,
        .help = "a database to ask by SQL",
        .not_yet = "give a url tcp://HOST:5432 meanwhile"},
    {.name = "expect", .type = SCHEMA_OBJECT, .fields = expect_rows, .help = "what a good answer is"},
    {.name = "method",
        .type = SCHEMA_CHOICE,
        .words = "GET HEAD",
        .fallback = "GET",
        .help = "of the probe's request"},
    {.name = "credentials_file",
        .type = SCHEMA_NAME,
        .help = "name of a file in the observer's credentials directory"},
    {.name = "insecure", .type = SCHEMA_BOOL, .fallback = "no", .help = "certificates are not checked"},
    {.name = "follow", .type = SCHEMA_BOOL, .fallback = "no", .help = "redirects are followed"},
    {.name = "capacity",
        .type = SCHEMA_OBJECT,
        .fields = capacity_rows,
        .help = "how many backends carry the load"},
    {.name = "observers",
        .type = SCHEMA_INTEGER,
        .min = 1,
        .max = 5,
        .fallback = "3",
        .help = "hosts that probe it"},
    END_OF_ROWS,
};
static const struct schema_field service = {.name = "service", .type = SCHEMA_OBJECT, .fields = service_rows};

/* ── control planes, hooks, actions, routes ── */

static const struct schema_field control_plane_rows[] = {
    {.name = "url", .type = SCHEMA_URL, .required = true, .help = "an answer that tells whether it works"},
    END_OF_ROWS,
};
static const struct schema_field control_plane = {
    .name = "control plane", .type = SCHEMA_OBJECT, .fields = control_plane_rows};

static const struct schema_field webhook_rows[] = {
    {.name = "url", .type = SCHEMA_URL, .required = true, .help = "where incidents are posted"},
    {.name = "secret_file",
        .type = SCHEMA_FILE,
        .help = "the key of the signature, mode 0600; unsigned if absent"},
    {.name = "allow_private",
        .type = SCHEMA_BOOL,
        .fallback = "no",
        .help = "the URL may lead to loopback, private or link-local addresses"},
    END_OF_ROWS,
};
static const struct schema_field x_rows[] = {
    {.name = "credentials_file",
        .type = SCHEMA_FILE,
        .required = true,
        .help = "the account's keys and tokens, mode 0600"},
    END_OF_ROWS,
};
static const struct schema_field hook_rows[] = {
    {.name = "webhook",
        .type = SCHEMA_OBJECT,
        .fields = webhook_rows,
        .help = "posts incidents as CloudEvents JSON"},
    {.name = "x",
        .type = SCHEMA_OBJECT,
        .fields = x_rows,
        .help = "posts on X",
        .not_yet = "only webhooks are delivered by this version"},
    END_OF_ROWS,
};
static const struct schema_field hook = {.name = "hook", .type = SCHEMA_OBJECT, .fields = hook_rows};

static const struct schema_field action_rows[] = {
    {.name = "exec",
        .type = SCHEMA_LIST,
        .min = 1,
        .max = LIST_MAX,
        .element = &text,
        .required = true,
        .help = "program and arguments"},
    {.name = "undo",
        .type = SCHEMA_LIST,
        .min = 1,
        .max = LIST_MAX,
        .element = &text,
        .help = "what takes it back"},
    {.name = "mode",
        .type = SCHEMA_CHOICE,
        .words = "off ask auto",
        .fallback = "ask",
        .help = "who decides"},
    END_OF_ROWS,
};
static const struct schema_field action = {.name = "action", .type = SCHEMA_OBJECT, .fields = action_rows};

static const struct schema_field hook_reference = {
    .name = "hook", .type = SCHEMA_REFERENCE, .words = "hooks"};

static const struct schema_field route_rows[] = {
    {.name = "severity",
        .type = SCHEMA_CHOICE,
        .words = "info warning ticket page",
        .help = "this severe or worse"},
    {.name = "impact",
        .type = SCHEMA_CHOICE,
        .words = "none redundancy_lost at_risk unknown users_hurt users_down",
        .help = "this impact or worse"},
    {.name = "to",
        .type = SCHEMA_LIST,
        .min = 1,
        .max = LIST_MAX,
        .element = &hook_reference,
        .required = true,
        .help = "hooks that are told"},
    {.name = "after",
        .type = SCHEMA_DURATION,
        .fallback = "0s",
        .help = "only incidents that last this long"},
    {.name = "approve",
        .type = SCHEMA_BOOL,
        .help = "a person has to agree first",
        .not_yet = "nothing is sent on a route that needs approval"},
    END_OF_ROWS,
};
static const struct schema_field route = {.name = "route", .type = SCHEMA_OBJECT, .fields = route_rows};

static const struct schema_field top_rows[] = {
    {.name = "collector",
        .type = SCHEMA_OBJECT,
        .fields = collector_rows,
        .required = true,
        .help = "what this collector listens on and where it keeps its data"},
    {.name = "sites",
        .type = SCHEMA_MAP,
        .max = 1000,
        .element = &site,
        .help = "places that share a way out"},
    {.name = "hosts",
        .type = SCHEMA_MAP,
        .max = HOSTS_MAX,
        .element = &host,
        .help = "machines, with or without an agent"},
    {.name = "balancers",
        .type = SCHEMA_MAP,
        .max = BALANCERS_MAX,
        .element = &balancer,
        .help = "load balancers; a service goes through them"},
    {.name = "services",
        .type = SCHEMA_MAP,
        .max = SERVICES_MAX,
        .element = &service,
        .help = "what users use, and what that depends on"},
    {.name = "control_planes",
        .type = SCHEMA_MAP,
        .max = LIST_MAX,
        .element = &control_plane,
        .help = "consoles and APIs of providers",
        .not_yet = "they are not probed by this version"},
    {.name = "hooks",
        .type = SCHEMA_MAP,
        .max = LIST_MAX,
        .element = &hook,
        .help = "who can be told, and how"},
    {.name = "actions",
        .type = SCHEMA_MAP,
        .max = LIST_MAX,
        .element = &action,
        .help = "what may be done about a fault",
        .not_yet = "nothing is run by this version"},
    {.name = "routes",
        .type = SCHEMA_LIST,
        .max = LIST_MAX,
        .element = &route,
        .help = "who is told of what"},
    END_OF_ROWS,
};

const struct schema_field *config_schema(void)
{
    return top_rows;
}
