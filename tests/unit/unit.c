/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <CUnit/Automated.h>
#include <CUnit/Basic.h>
#include <stdarg.h>
#include <stdio.h>

enum { UNIT_FAILED = 1, UNIT_SKIPPED = 77 };

static char skip_reason[256];

void unit_skip(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(skip_reason, sizeof(skip_reason), fmt, ap);
	va_end(ap);
}

int unit_main(const char *suite, const struct unit_case *cases, unsigned n)
{
	unsigned failed;
	CU_pSuite s;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (CU_initialize_registry() != CUE_SUCCESS)
		return UNIT_FAILED;
	s = CU_add_suite(suite, NULL, NULL);
	for (unsigned i = 0; s && i < n; i++)
		if (!CU_add_test(s, cases[i].name, cases[i].run))
			return UNIT_FAILED;
	CU_basic_set_mode(CU_BRM_VERBOSE);
	if (!s || CU_basic_run_tests() != CUE_SUCCESS)
		return UNIT_FAILED;
	failed = CU_get_number_of_failures();
	if (CU_get_number_of_asserts() == 0 && !skip_reason[0]) {
		fprintf(stderr, "%s: no assertion was made\n", suite);
		failed++;
	}
	CU_cleanup_registry();
	if (failed)
		return UNIT_FAILED;
	if (skip_reason[0]) {
		printf("SKIP: %s\n", skip_reason);
		return UNIT_SKIPPED;
	}
	return 0;
}
