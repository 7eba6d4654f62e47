#include "collector/core/model/model_build.h"
#include "common/check.h"

/* From the wished to the unavoidable. What the way of the users and the servers need for a verdict slows down
 * last; the health URL, which tells drains, and the hops, which the users' probes cross too, slow down first.
 */
static const struct model_rates ladder[] = {
    /* health    hop  users   page */
    {1000, 1000, 1000, 1000},
    {2000, 1000, 1000, 1000},
    {3000, 1000, 1000, 1000},
    {3000, 2000, 1000, 1000},
    {5000, 2000, 1000, 1000},
    {5000, 3000, 1000, 1000},
    {10000, 5000, 1000, 1000},
    {10000, 10000, 1000, 1000},
    {3000, 3000, 2000, 1000},
    {5000, 5000, 2000, 1000},
    {10000, 10000, 2000, 1000},
    {5000, 5000, 2000, 2000},
    {10000, 10000, 2000, 2000},
    {10000, 10000, 3000, 3000},
    {20000, 20000, 5000, 5000},
    {20000, 20000, 10000, 10000},
    {60000, 60000, 60000, 60000},
};

double model_requests_per_second(const struct model_load *load, const struct model_rates *rates)
{
    double spread = load->backends > 0 ? load->backends : 1;
    return load->page_observers * 1e3 / rates->page_ms + load->health_observers * 1e3 / rates->health_ms +
           load->users_observers * 1e3 / rates->users_ms / spread +
           load->hop_observers * 1e3 / rates->hop_ms / spread;
}

struct model_rates model_choose_rates(const struct model_load *load)
{
    for (size_t i = 0; i < ARRAY_COUNT(ladder); i++)
        if (model_requests_per_second(load, &ladder[i]) <= MODEL_REQUESTS_PER_SECOND + 1e-9) return ladder[i];
    return ladder[ARRAY_COUNT(ladder) - 1];
}
