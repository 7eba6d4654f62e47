#include "tests/support/unit.h"

#include <CUnit/Basic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int unit_run(const char *suite_name, const struct unit_case *cases, const char *only)
{
    if (CU_initialize_registry() != CUE_SUCCESS) return 2;
    CU_pSuite suite = CU_add_suite(suite_name, NULL, NULL);
    for (; suite != NULL && cases->name != NULL; cases++) {
        if (only != NULL && strstr(cases->name, only) == NULL) continue;
        if (CU_add_test(suite, cases->name, cases->run) == NULL) {
            fprintf(stderr, "%s: cannot add \"%s\": %s\n", suite_name, cases->name, CU_get_error_msg());
            return 2;
        }
    }
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    unsigned run = CU_get_number_of_tests_run();
    unsigned failed = CU_get_number_of_tests_failed();
    CU_cleanup_registry();
    if (run == 0) fprintf(stderr, "%s: no test was run\n", suite_name);
    /* tests/run adds these lines up. */
    printf("unit: %s: %u passed, %u failed\n", suite_name, run - failed, failed);
    return failed > 0 || run == 0 ? 1 : 0;
}
