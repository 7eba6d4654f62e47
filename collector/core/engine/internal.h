/* What the files of the engine share: the matrix of paths, the hypotheses with their sums, the incidents.
 * Only the engine includes this. One thread; all of it belongs to struct engine. README.md lists the files.
 */
#ifndef COLLECTOR_CORE_ENGINE_INTERNAL_H
#define COLLECTOR_CORE_ENGINE_INTERNAL_H

#include "collector/core/engine/engine.h"

/* ---- bounds ---- */
#define ENGINE_PATHS_MAX     65536
#define ENGINE_PLACES_MAX    131072
#define ENGINE_COVERS_MAX    4096 /* hypotheses that one path feeds */
#define ENGINE_ADDRESSES_MAX 16   /* of one balancer */
#define ENGINE_CAUSES_MAX    64   /* incidents that are not resolved; further causes wait */
#define ENGINE_GROUNDS_MAX   16   /* hypotheses behind one incident */
#define ENGINE_RECENT_MAX    64   /* components remembered for flapping */
#define PATH_RING            32   /* ended outcomes remembered, 6 s of a burst */
#define PATH_PENDING         16   /* late outcomes whose end is still to come */
#define ADDRESS_SIZE         64

/* ---- the figures of the method (README.md says where each comes from) ---- */
#define MAGNITUDES            4
#define PENALTY_PATH          4.0
#define LEAD_MIN              3.0
#define LEAD_CERTAIN          4.6 /* ln 99: posterior .99 against one rival */
#define SUM_MAX               40.0
#define RECOVERY_SUM          7.0
#define FALSE_ALARM_SECONDS   2.6e6 /* 30 days */
#define CONFIRM_MS            250
#define ROUND_WAIT_MS         800  /* for outcomes of a round that is under way */
#define HEALTH_WAIT_MS        1300 /* … and for the health URLs, which come with the second */
#define ALIKE_WAIT_MS         1500 /* until it is clear whether all backends fail or some of them */
#define CERTAINTY_WAIT_MS     400  /* how long a good lead may grow into a certain one */
#define AMBIGUITY_MS          5000 /* above the threshold without a lead: said as a guess */
#define PROVEN_GOOD           30
#define PROVEN_GOOD_GENTLE    10 /* health URLs and references: asked seldom, and never blamed alone */
#define PROVEN_GOOD_OWN       2  /* of a reference, by each observer; its peers at the site add the rest */
#define WARM_UP_MS            2000
#define SILENT_MS             5000
#define BASELINE_ONLY_MS      10000 /* older observations teach, they do not judge */
#define DRAIN_MS              60000
#define MODE_WINDOW_MS        6000
#define LATE_AFTER_MIN_MS     300
#define LATE_AFTER_MAX_MS     2000
#define LATE_LEARNED_OUTCOMES 60
#define LATE_YOUNG_OUTCOMES   10 /* from here to there: ten times the longest so far */
#define LATE_YOUNG_MIN_MS     500
#define SLOW_LEARNED_OUTCOMES 600
#define SLOW_LEARNED_MS       (20 * 3600 * 1000LL) /* of clean time: the daily load has been seen */
#define RATE_KNOWN_OUTCOMES   2000 /* of a pool, until its usual failure rate is taken as known */
#define MAGNITUDE_YOUNG_MIN   .3
#define CAPACITY_PAGE_MS      15000
#define BACKEND_HURT_PAGE_MS  5000 /* a restart hurts shorter than this */
#define HOLD_MAX_MS           600000
#define HOLD_MS               3000 /* clean after recovery before "resolved"; flapping lengthens it */
#define FLAP_MEMORY_MS        600000

enum stream { STREAM_FAIL, STREAM_SLOW, STREAM_COUNT };

/* All evidence; and what the open incidents leave unexplained. */
enum layer { LAYER_ALL, LAYER_REST, LAYER_COUNT };

enum place_kind {
    PLACE_LB,
    PLACE_LB_ADDRESS,
    PLACE_LBNET,
    PLACE_LBNET_BACKEND,
    PLACE_OBSERVER,
    PLACE_BACKEND,
    PLACE_BACKENDS,
    PLACE_ZONE,
    PLACE_EGRESS_USERS, /* the way out to the entrance and the references */
    PLACE_EGRESS_HOPS,  /* … and to the hops */
    PLACE_EGRESS_ALL,   /* … and to the backends as well */
    PLACE_PATH_LB,
    PLACE_PATH_LB_ADDRESS,
    PLACE_PATH_BACKEND,
    PLACE_PATH_SERVICE,
    PLACE_SERVICE, /* a service without listed backends */
    PLACE_KIND_COUNT
};

struct place_info {
    const char *word;
    enum component component;
    double penalty;
};
extern const struct place_info place_infos[PLACE_KIND_COUNT];
extern const double magnitudes[MAGNITUDES];

struct sum {
    double w[MAGNITUDES];
    int64_t onset_ms[MAGNITUDES]; /* start of the probe that last lifted it from 0 */
    int64_t last_bad_ms;          /* start of the newest failing probe it covers */
    double debt;                  /* the group's debt already subtracted */
};

/* A hypothesis: one thing that may be broken. */
struct place {
    enum place_kind kind;
    uint32_t group;
    uint32_t balancer, host, backend, service, zone, site; /* those its kind uses, else MODEL_NONE */
    uint32_t address;                                      /* index into the balancer's addresses */
    char component[INCIDENT_COMPONENT_SIZE];
    char key[INCIDENT_COMPONENT_SIZE + 64];
    uint32_t proven_paths; /* that it covers in full */
    bool live;             /* may be blamed */
    bool open;             /* an open incident blames its component */
    int open_q;
    struct sum sums[LAYER_COUNT][STREAM_COUNT];
};

/* A path feeds a place: in full, or as one of the backends or addresses among which its probe was spread. */
enum share { SHARE_FULL, SHARE_BACKENDS, SHARE_ADDRESSES };
struct cover {
    uint32_t place;
    uint16_t part;   /* numerator */
    uint8_t share;   /* enum share */
    bool shallow_ok; /* a good connect or health answer speaks against this place */
};

enum ended { ENDED_OK, ENDED_SLOW, ENDED_FAILED, ENDED_NOTHING, ENDED_OPEN };
struct ending {
    int64_t start_ms, at_ms;
    enum ended ended;
    enum probe_error error;
    uint32_t code;
    int64_t total_us;
};

/* Observer, entrance, address: what is proven or not. HTTP and TCP probes of one way share it. */
struct way {
    uint32_t host, service;
    enum model_entrance entrance;
    uint32_t thing; /* balancer, backend, or the target of a reference */
    uint32_t good_in_row;
    uint32_t good; /* ever; of pages or health answers */
    bool proven;
    uint32_t blocked_in_row;
    char address[ADDRESS_SIZE];
    struct ending last_bad; /* for the reason; start_ms 0: never */
    uint32_t bad_in_row;
};

struct path {
    uint32_t host, target, way, pool;
    uint32_t address; /* index into the entry balancer's addresses, MODEL_NONE */
    char address_text[ADDRESS_SIZE];
    bool aside;   /* the agent on the balancer's host: no ordinary observer */
    bool shallow; /* TCP or health: its success says little about the page */
    struct cover *covers;
    uint32_t cover_count;
    struct ending ring[PATH_RING];
    uint32_t ring_next, ring_count;
    int64_t pending[PATH_PENDING]; /* starts of late probes */
    uint32_t pending_next;
    struct probe_result last;
    int64_t last_ms; /* arrival */
};

/* Outcomes that should be alike: of a target over its observers, of equal backends. */
#define HISTOGRAM_BUCKETS 448
struct rate {
    double n, fails, slows;
};
struct pool {
    char key[INCIDENT_COMPONENT_SIZE];
    uint32_t service, group;
    uint32_t histogram[HISTOGRAM_BUCKETS];
    uint64_t outcomes;
    uint64_t fresh; /* since the quantiles were computed */
    int64_t q99_us, median_us;
    int64_t clean_ms;                  /* learned from */
    struct rate learned, waiting, now; /* waiting: clean if its successor is */
    int64_t bucket_ms;
    double p0[STREAM_COUNT];
    double llr[STREAM_COUNT][2][MAGNITUDES]; /* full cover; [fails] */
    uint32_t late_after_ms;
    int64_t p0_slow_ms; /* when p0 of the slow stream was last looked at */
};

/* Services that share balancers: their sums are bounded and judged together. */
struct group {
    uint32_t *services, service_count;
    uint32_t *places, place_count;
    double debt[LAYER_COUNT][STREAM_COUNT];   /* subtracted from all sums so far */
    double excess[LAYER_COUNT][STREAM_COUNT]; /* of the outcome that is being fed */
    bool above[LAYER_COUNT][STREAM_COUNT];    /* a sum may have reached the threshold */
    int64_t above_ms[LAYER_COUNT][STREAM_COUNT], led_ms[LAYER_COUNT][STREAM_COUNT];
    int64_t tainted_ms; /* suspicion at this time: baselines stay out */
    int64_t reset_ms;   /* probes begun before do not count */
    uint32_t open_count;
    bool blind;        /* nobody sees anything */
    int64_t narrow_ms; /* since when a narrower place leads over an open one */
};

struct balancer_run {
    char addresses[ENGINE_ADDRESSES_MAX][ADDRESS_SIZE];
    uint32_t address_count;
    uint32_t group; /* MODEL_NONE: no service passes it */
    /* slowness: ln(through it) - ln(median direct), learned center and scale, clipped CUSUM */
    double center, scale, product, last_r, cusum, recent;
    int64_t direct_us;
    uint64_t learned;
    int64_t slow_onset_ms;
};

struct backend_run {
    enum balancer_word said;
    int64_t drained_until_ms;
    int64_t page_ok_ms; /* arrival of its last good direct page */
    bool excluded;
};

struct host_run {
    int64_t heard_ms;       /* its last word, also from before a restart; 0 never */
    int64_t counted_ms;     /* silence is counted from here: later than heard_ms if nobody could be heard */
    int64_t grace_until_ms; /* not heard since we started: silence is not told before; 0 it was heard */
    bool gone;
    bool left_out; /* its own references fail */
    int64_t reference_ok_ms, reference_bad_ms;
    uint32_t reference_bad_in_row;
    int64_t page_bad_ms; /* its last failing page: references only say whose fault that is */
};

struct service_run {
    uint32_t group;
    uint32_t active; /* backends that are not excluded */
    int64_t burst_rest_until_ms;
    int64_t proving_rest_until_ms;
    uint32_t proving_bursts;
    bool recovery_burst; /* asked for since the last failure burst */
};

struct target_run {
    int64_t burst_until_ms;
    uint32_t late_told_ms; /* 0 never */
};

/* One hypothesis that was accepted, until its reversed sum says it is over. */
struct ground {
    uint32_t place;                         /* MODEL_NONE: restored, not seen yet */
    char key[INCIDENT_COMPONENT_SIZE + 64]; /* of the place */
    enum stream stream;
    int q;
    double recovery;
    int64_t since_ms;
    bool recovered;
};

enum cause_source { CAUSE_MATRIX, CAUSE_SILENCE, CAUSE_SLOWNESS };

struct cause {
    enum cause_source source;
    struct incident incident;
    struct ground grounds[ENGINE_GROUNDS_MAX];
    uint32_t ground_count;
    uint32_t silent_host; /* CAUSE_SILENCE; MODEL_NONE: many */
    int64_t recovered_ms; /* 0: not recovered */
    int64_t hold_ms;
    int64_t lower_since_ms;   /* impact has been lower than told since */
    int64_t users_bad_ms;     /* last bad outcome at the entrance */
    double entrance_good;     /* good outcomes there since the last bad one, or since it got its name */
    int64_t entrance_good_ms; /* start of the first of them; 0 none */
    int64_t severity_raised_ms;
    int64_t amended_ms;
    bool warn_only;
    bool hurt_users; /* at any time */
    bool capacity_short;
    bool single; /* one observer sees it */
    bool guess;  /* without a lead */
    bool blind;  /* … since nobody sees anything */
    bool inside; /* about the way users come, seen from the site's own provider only */
    bool alive;  /* a backend whose health URL answers */
    bool behind; /* pages fail on all backends, health does not: the cause lies behind the applications */
    enum impact told_impact;
    enum mode told_mode;
    enum severity told_severity;
    enum confidence told_confidence;
    char told_component[INCIDENT_COMPONENT_SIZE];
};

struct flap {
    char component[INCIDENT_COMPONENT_SIZE];
    int64_t resolved_ms;
    uint32_t count;
};

struct engine {
    const struct model *model;
    int64_t start_ms, now_ms, stepped_ms;
    uint64_t last_number;
    struct place *places;
    uint32_t place_count, place_room;
    struct path *paths;
    uint32_t path_count, path_room;
    uint32_t *path_index, path_index_size; /* open addressing, power of two; MODEL_NONE empty */
    struct way *ways;
    uint32_t way_count, way_room;
    uint32_t *way_index, way_index_size;
    struct pool *pools;
    uint32_t pool_count;
    uint32_t *target_pool;
    struct group *groups;
    uint32_t group_count;
    struct balancer_run *balancers;
    struct backend_run *backends;
    struct host_run *hosts;
    struct service_run *services;
    struct target_run *targets;
    double threshold;
    bool stale; /* places must be counted again */
    struct cause **causes;
    uint32_t cause_count;
    struct flap flaps[ENGINE_RECENT_MAX];
    struct engine_step *steps;
    size_t step_count, step_room;
    struct engine_burst *bursts;
    size_t burst_count, burst_room;
    struct engine_late_after *late;
    size_t late_count, late_room;
    bool proved;         /* since the last step */
    json_t *unplaced;    /* of a snapshot: what belongs to parts not seen yet, by kind and key */
    int64_t unplaced_ms; /* since when */
    uint64_t dropped;
};

/* places.c */
void places_build(struct engine *engine); /* groups, places; needs the *_run arrays */
uint32_t places_find(const struct engine *engine, const char *key);
void places_set_open(struct engine *engine, const char *component, bool open, int q);
bool place_same_component(const struct engine *engine, uint32_t a, uint32_t b);
bool service_observes(const struct model_service *service, uint32_t host);
bool host_is_aside(const struct engine *engine, uint32_t service, uint32_t host, uint32_t *balancer);
/* Made when first asked for; MODEL_NONE at ENGINE_PLACES_MAX. */
uint32_t place_of_balancer(struct engine *engine, uint32_t balancer);
uint32_t place_of_address(struct engine *engine, uint32_t balancer, uint32_t address);
uint32_t place_of_lbnet(struct engine *engine, uint32_t balancer, uint32_t backend);
uint32_t place_of_observer(struct engine *engine, uint32_t group, uint32_t host);
uint32_t place_of_egress(struct engine *engine, uint32_t group, uint32_t site, enum place_kind kind);
uint32_t place_of_backend(struct engine *engine, uint32_t backend);
uint32_t place_of_service(struct engine *engine, uint32_t service, enum place_kind kind);
uint32_t place_of_zone(struct engine *engine, uint32_t group, uint32_t zone);
uint32_t place_of_path(struct engine *engine, uint32_t group, enum place_kind kind, uint32_t host,
    uint32_t thing, uint32_t address);
uint32_t zone_of_backend(const struct engine *engine, uint32_t backend);

/* cover.c */
uint32_t places_add_address(struct engine *engine, uint32_t balancer, const char *address);
void places_cover(struct engine *engine, uint32_t path);
bool place_covers_path(const struct engine *engine, uint32_t place, uint32_t path);
bool place_contains(const struct engine *engine, uint32_t outer, uint32_t inner);
double cover_share(const struct engine *engine, const struct path *path, const struct cover *cover);

/* live.c */
void places_refresh(struct engine *engine); /* live ones, shares, threshold */

/* paths.c */
void paths_observe(struct engine *engine, const struct engine_observation *observation);
uint32_t way_good_needed(const struct way *way); /* good outcomes in a row until it is proven */
bool path_fresh(const struct engine *engine, const struct path *path);
const struct ending *path_newest(const struct path *path); /* NULL none */
bool ending_is_good(const struct ending *ending);
void paths_update_exclusions(struct engine *engine);
void group_forget(struct engine *engine, uint32_t group); /* all sums start at 0 */

/* learn.c */
void pools_build(struct engine *engine);
void pool_add_latency(struct engine *engine, struct pool *pool, int64_t total_us);
void pool_add_outcome(struct pool *pool, bool failed, bool slow);
void pool_roll(struct engine *engine, struct pool *pool);
void pool_update_quantiles(struct engine *engine, struct pool *pool);
void pool_update_llr(struct pool *pool);
bool pool_is_slow(const struct pool *pool, int64_t total_us);
bool pool_knows_slow(const struct pool *pool); /* long enough to page for it */
int64_t pool_late_after_ms(const struct pool *pool);
uint32_t histogram_index(int64_t us);
int64_t histogram_value_us(uint32_t index);

/* sums.c */
struct evidence {
    int64_t start_ms;
    bool failed, slow; /* failed implies slow */
};
void sums_feed(struct engine *engine, const struct path *path, const struct evidence *evidence);
double sum_value(
    const struct group *group, const struct sum *sum, enum layer layer, enum stream stream, int q);
double place_score(
    const struct engine *engine, const struct place *place, enum layer layer, enum stream stream, int *q);

/* select.c */
enum choice { CHOICE_NONE, CHOICE_WAIT, CHOICE_VERDICT, CHOICE_GUESS };
struct pick {
    enum choice choice;
    uint32_t place;
    uint32_t runner_up; /* MODEL_NONE */
    enum stream stream;
    int q;
    double score, lead, posterior;
    int64_t onset_ms;
    bool blind; /* nobody sees anything: the likelier place, not the better score */
};
struct pick select_verdict(struct engine *engine, uint32_t group, enum layer layer, enum stream stream);

/* blind.c */
enum sight { SIGHT_SOME, SIGHT_OPEN, SIGHT_NONE };
/* Whether any probe of the group has been answered since the onset of what the sums say. OPEN: wait, some
 * have not spoken. NONE: *pick becomes a guess. */
enum sight blind_review(struct engine *engine, uint32_t group, struct pick *pick);

/* modes.c */
struct tally {
    uint32_t ok, slow, failed, nothing, open;
    uint32_t refused, errors_5xx;
    int64_t slow_us_sum;
    enum probe_error error; /* the newest failure */
    uint32_t code;
};
/* Of page probes that the place covers in full (all: connects and health too), ended within the window. */
void tally_place(
    const struct engine *engine, uint32_t place, int64_t since_ms, bool all, struct tally *tally);
void tally_path(const struct path *path, int64_t since_ms, struct tally *tally);
uint32_t tally_bad(const struct tally *tally);
uint32_t tally_all(const struct tally *tally);
enum mode mode_of(
    const struct engine *engine, uint32_t place, enum stream stream, enum mode before, int64_t since_ms);

/* causes.c */
struct cause *cause_find(struct engine *engine, const char *component);
struct cause *cause_of_component(struct engine *engine, const char *place_component);
const struct place *cause_place(const struct engine *engine, const struct cause *cause); /* NULL none */
struct cause *cause_new(
    struct engine *engine, enum cause_source source, const char *component, int64_t onset_ms);
void cause_set_component(struct cause *cause, const char *component);
void cause_tell(struct engine *engine, struct cause *cause, enum step step);
void cause_mark(struct engine *engine, const struct cause *cause, bool open); /* its places */
bool cause_is_past(const struct cause *cause); /* resolved or recovered: its words stay as they were told */
void cause_absorb(struct engine *engine, struct cause *into, struct cause *cause);
void cause_resolve(struct engine *engine, struct cause *cause);
void cause_remove(struct engine *engine, struct cause *cause); /* frees it */
void causes_count_open(struct engine *engine);
void causes_reattach(struct engine *engine); /* after a restart: marks places open */
void group_start_rest(struct engine *engine, uint32_t group);
uint32_t place_viewers(const struct engine *engine, uint32_t place);
int64_t hold_for(const struct engine *engine, const char *component);
void flap_note(struct engine *engine, const char *component);

/* verdicts.c */
void causes_judge(struct engine *engine);
void cause_name(struct engine *engine, struct cause *cause);
void cause_set_confidence(struct cause *cause, double posterior);
struct cause *cause_of_callee(struct engine *engine, uint32_t service); /* an open incident below it */

/* recovery.c */
void causes_step(struct engine *engine); /* what time does: impact, severity, recovery */
void causes_recover(struct engine *engine, const struct path *path, const struct evidence *evidence);

/* impact.c */
struct impact_view {
    uint32_t bad, all; /* newest outcomes at the entrance, one an observer and service */
    uint32_t bad_recent, all_recent;
    int64_t last_bad_ms;
    uint32_t up, needed, backends; /* of the service with the least to spare */
};
enum impact impact_of(struct engine *engine, struct cause *cause, struct impact_view *view);
enum severity severity_of(
    const struct engine *engine, const struct cause *cause, const struct impact_view *view);
/* Raised at once, lowered only a while after. */
void cause_set_severity(const struct engine *engine, struct cause *cause, const struct impact_view *view);
bool cause_touches_service(const struct engine *engine, const struct cause *cause, uint32_t service);
/* Whether an open incident blames the observer's side of it: an observer, its way out or the path itself. */
bool path_in_doubt(const struct engine *engine, const struct path *path);
bool backend_answers(const struct engine *engine, uint32_t backend, bool *known);
void services_text(const struct engine *engine, const struct cause *cause, char *out, size_t size);

/* describe.c */
void describe(struct engine *engine, struct cause *cause, const struct impact_view *view);

/* The last seconds, at most back to its onset: what evidence is read from. */
int64_t cause_window_start_ms(const struct engine *engine, const struct cause *cause);

/* evidence.c */
void evidence_collect(struct engine *engine, struct cause *cause);
const char *provider_of_all(const struct engine *engine, const struct cause *cause);

/* hosts.c */
void hosts_step(struct engine *engine);
void hosts_reference(struct engine *engine, const struct path *path, bool good);

/* bursts.c */
void bursts_on_failure(struct engine *engine, const struct path *path);
void bursts_on_recovery(struct engine *engine, const struct path *path);
void bursts_on_good(struct engine *engine, const struct path *path);

/* reasons.c */
bool reason_for(const struct engine *engine, const struct path *path, char *reason, size_t reason_size,
    char *remedy, size_t remedy_size);

/* slowness.c */
void slowness_observe(struct engine *engine, const struct path *path, int64_t total_us);
void slowness_step(struct engine *engine);

/* snapshot.c */
json_t *snapshot_json(const struct engine *engine);
void snapshot_apply(struct engine *engine, json_t *snapshot); /* what it can; keeps the rest as `unplaced` */
void snapshot_place_way(struct engine *engine, uint32_t way); /* a new way takes up what was kept of it */

#endif
