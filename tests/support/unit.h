/* A CUnit program in one table. A test file ends with
 *     UNIT_MAIN("spool", {"refuses when full and keeps older batches", refuses_when_full}, ...)
 * Case names are sentences. The program prints the failed assertions and exits 1 if there are any. `argv[1]`,
 * where given, runs only the cases whose name contains it. */
#ifndef TESTS_SUPPORT_UNIT_H
#define TESTS_SUPPORT_UNIT_H

#include <CUnit/CUnit.h>

struct unit_case {
    const char *name;
    void (*run)(void);
};

int unit_run(const char *suite, const struct unit_case *cases, const char *only);

#define UNIT_MAIN(suite, ...)                                                                                \
    int main(int argc, char **argv)                                                                          \
    {                                                                                                        \
        static const struct unit_case cases[] = {__VA_ARGS__, {0}};                                          \
        return unit_run(suite, cases, argc > 1 ? argv[1] : 0);                                               \
    }

#endif
