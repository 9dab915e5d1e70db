/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thin front of CUnit: a table of cases, one main, failures on stderr with file and line, and a
 * skip that says why.
 *
 *	static void grants_zero(void) { CU_ASSERT_EQUAL(...); }
 *	int main(void)
 *	{
 *		static const struct unit_case cases[] = {UNIT_CASE(grants_zero)};
 *		return unit_main("core", cases, UNIT_COUNT(cases));
 *	}
 */
#ifndef CELLULAR_UNIT_H
#define CELLULAR_UNIT_H

#include <CUnit/CUnit.h>

struct unit_case {
	const char *name;
	void (*run)(void);
};

#define UNIT_CASE(fn)                                                                              \
	{                                                                                          \
#fn, fn                                                                            \
	}
#define UNIT_COUNT(cases) (sizeof(cases) / sizeof((cases)[0]))

/* Runs all cases; returns what main returns: 0, 1, or 77 if a case called unit_skip and none
 * failed. */
int unit_main(const char *suite, const struct unit_case *cases, unsigned n);

/* Marks the program as skipped for this reason; the case should return. */
void unit_skip(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
