/* What judging costs: 200 services behind 100 balancers, 600 backends, 5 observers each from 1,000 hosts,
 * everything probed once a second; quiet, then ten balancers dead at once. Prints seconds of CPU per second
 * of life. sim_scale seconds=60 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/check.h"
#include "tests/support/site_world.h"

#define SERVICES  200
#define BALANCERS 100
#define HOSTS     1000

static char names[SERVICES * 4 + HOSTS + BALANCERS + 8][16];
static size_t name_count;

static const char *name(const char *word, int number)
{
    snprintf(names[name_count], sizeof names[0], "%s%d", word, number);
    return names[name_count++];
}

static struct site_builder *large_site(void)
{
    struct site_builder *site = builder_new();
    uint32_t sites[4];
    for (int i = 0; i < 4; i++) sites[i] = builder_add_site(site, name("site", i), "");
    for (int i = 0; i < HOSTS; i++) builder_add_host(site, name("host", i), sites[i % 4], MODEL_NONE);
    for (int i = 0; i < BALANCERS; i++) builder_add_balancer(site, name("lb", i), MODEL_NONE);
    for (int s = 0; s < SERVICES; s++) {
        uint32_t service = builder_add_service(site, name("svc", s), SERVICE_WEB);
        builder_add_hop(site, service, (uint32_t)(s % BALANCERS));
        for (int b = 0; b < 3; b++)
            builder_add_backend(
                site, service, name("app", s * 3 + b), (uint32_t)((s * 3 + b) % HOSTS), MODEL_NONE);
        for (int o = 0; o < 5; o++)
            builder_add_observer(site, service, (uint32_t)((s * 7 + o * 211 + 601) % HOSTS));
    }
    return site;
}

static double cpu_of(struct world *world, int64_t ms)
{
    uint64_t before = world->observations;
    clock_t begin = clock();
    world_run(world, ms);
    double cpu = (double)(clock() - begin) / CLOCKS_PER_SEC * 1000 / (double)ms;
    printf("%.0f observations a second: %.3f s of CPU a second, %zu steps so far\n",
        (double)(world->observations - before) * 1000 / (double)ms, cpu, world->step_count);
    return cpu;
}

int main(int argc, char **argv)
{
    int64_t seconds = argc > 1 && strncmp(argv[1], "seconds=", 8) == 0 ? strtol(argv[1] + 8, NULL, 10) : 2;
    struct world *world = world_new(large_site(), 1);
    cpu_of(world, 9000); /* with the bursts that prove the paths */
    double quiet = cpu_of(world, seconds * 1000);
    bool calm = world->step_count == 0;
    for (int b = 0; b < 10; b++) world->balancer[b] = WORLD_DROPS;
    cpu_of(world, seconds * 1000);
    size_t opened = world_count(world, STEP_OPENED, NULL);
    /* Of what is measured most is the simulation itself in an unoptimised build: the bound is no promise. */
    bool good = calm && opened == 10 && quiet < 2;
    if (!good) world_print(world);
    printf("unit: sim_scale: %d passed, %d failed\n", good, !good);
    world_free(world);
    return good ? 0 : 1;
}
