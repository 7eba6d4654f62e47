#include "collector/supervisor/limits.h"

#include <sys/resource.h>

#define FILES_MAX                                                                                            \
    ((rlim_t)1 << 20) /* RLIM_INFINITY would make closing "all" descriptors endless somewhere                \
                       */

#if defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define SANITIZED 1
#endif

uint64_t limits_raise_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
    rlim_t most = limit.rlim_max < FILES_MAX ? limit.rlim_max : FILES_MAX;
    if (limit.rlim_cur < most) {
        limit.rlim_cur = most;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    return limit.rlim_cur;
}

int limits_memory(size_t bytes, struct error *err)
{
#ifdef SANITIZED
    (void)bytes;
    (void)err;
    return 0;
#else
    struct rlimit limit;
    if (getrlimit(RLIMIT_DATA, &limit) != 0) return fail_errno(err, "getrlimit");
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    limit.rlim_max = limit.rlim_cur;
    if (setrlimit(RLIMIT_DATA, &limit) != 0) return fail_errno(err, "limit memory to %zu bytes", bytes);
    return 0;
#endif
}
